"""The policy gradient that learns a controller.

Williams, "Simple Statistical Gradient-Following Algorithms", 1992; Pham et al., "Efficient Neural
Architecture Search via Parameter Sharing" (ENAS), ICML 2018, section 2.2.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from nascence.controllers.controller import Beam, Controller, Draw
from nascence.spaces import Architecture


class RewardedController:
    """Learns a controller by REINFORCE with a moving-average baseline and an entropy bonus.

    The baseline is kept with the controller, as its buffers ``baseline`` and ``rewarded``.

    Args:
        controller: learned in place.
        rate: learning rate of Adam.
        samples: networks drawn in each step of the controller.
        entropy: weight of the entropy of a draw, in nats.
        baseline_decay: decay of the moving average of rewards.
        betas: momenta of Adam.

    Raises:
        ValueError: ``samples`` is below 1, ``baseline_decay`` not in [0, 1), or ``rate`` not
            positive.
    """

    def __init__(
        self,
        controller: Controller,
        *,
        rate: float,
        samples: int,
        entropy: float,
        baseline_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        if samples < 1 or not 0 <= baseline_decay < 1 or not rate > 0:
            raise ValueError(
                f"samples {samples}, baseline_decay {baseline_decay}, rate {rate}; give 1 or "
                "more, a number in [0, 1), a positive one"
            )
        self.controller = controller
        self.controller.register_buffer("baseline", torch.zeros(()))
        self.controller.register_buffer("rewarded", torch.zeros((), dtype=torch.bool))
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(
            controller.parameters(), lr=rate, betas=betas
        )
        self.samples, self.entropy, self.baseline_decay = samples, entropy, baseline_decay

    def estimate(
        self,
        reward: Callable[[Architecture], float],
        *,
        generator: torch.Generator,
        beam: Beam | None = None,
    ) -> tuple[list[Tensor], Draw, list[float]]:
        """Return an estimate of the gradients of minus the expected reward.

        One for each parameter of the controller, of its shape.

        Also what was drawn for it and its rewards. The baseline moves after the estimate, so
        that it does not depend on what was drawn; before the first it is their mean.
        """
        drawn = self.controller.draw(self.samples, generator=generator, beam=beam)
        found = [reward(each) for each in drawn.architectures]
        rewards = torch.tensor(found, device=drawn.entropies.device)
        rewards = rewards + self.entropy * drawn.entropies.detach()
        if not self.controller.get_buffer("rewarded"):
            self._remember(rewards)
        loss = self.loss(drawn, rewards, baseline=self.controller.get_buffer("baseline"))
        own = list(self.controller.parameters())
        gradients = torch.autograd.grad(loss, own, allow_unused=True, materialize_grads=True)
        self._remember(rewards)
        return list(gradients), drawn, found

    def loss(self, drawn: Draw, rewards: Tensor, *, baseline: Tensor) -> Tensor:
        """Return the scalar whose gradient is the estimate.

        It is unbiased, whatever the baseline, for minus the gradient of the expected reward plus
        ``entropy`` times the entropy of the controller's distribution.

        Args:
            drawn: by the controller.
            rewards: with ``entropy`` times the entropies along each draw, (count,).
            baseline: scalar.
        """
        surplus = (rewards - baseline).detach()
        return -(surplus * drawn.log_probabilities + self.entropy * drawn.entropies).mean()

    def _remember(self, rewards: Tensor) -> None:
        baseline = self.controller.get_buffer("baseline")
        rewarded = self.controller.get_buffer("rewarded")
        kept = self.baseline_decay if rewarded else 0.0
        baseline.copy_(kept * baseline + (1 - kept) * rewards.mean())
        rewarded.fill_(True)
