"""The policy gradient that learns a controller.

Williams, "Simple Statistical Gradient-Following Algorithms", 1992; Pham et al., "Efficient Neural
Architecture Search via Parameter Sharing" (ENAS), ICML 2018, section 2.2.
"""

import torch
from torch import Tensor, nn

from nascence.controllers.controller import Controller
from nascence.controllers.rewarded import RewardedController
from nascence.data import Batch
from nascence.gradient.derivation import check_derivable
from nascence.latency.table import LatencyTerm
from nascence.spaces import Architecture
from nascence.supernets import SuperNet


class PolicyGradient(RewardedController):
    """The method of ENAS: the reward is a drawn network's accuracy on one batch, weights shared.

    Args:
        supernet: whose choices are drawn from.
        rate: learning rate of Adam.
        samples: networks drawn in each step of the controller.
        entropy: weight of the entropy of a draw, in nats.
        baseline_decay: decay of the moving average of rewards.
        candidates: networks drawn to derive one, of which the most accurate on a batch is taken.
        hidden, scale, temperature: settings of :class:`Controller`.

    Raises:
        ValueError: ``candidates`` is below 1.
    """

    joint = False
    latency: LatencyTerm | None = None

    def __init__(
        self,
        supernet: SuperNet,
        *,
        rate: float,
        samples: int = 4,
        entropy: float = 1e-4,
        baseline_decay: float = 0.95,
        candidates: int = 10,
        hidden: int = 64,
        scale: float = 2.5,
        temperature: float = 5.0,
    ) -> None:
        if candidates < 1:
            raise ValueError(f"candidates is {candidates}; give 1 or more")
        check_derivable(supernet)
        controller = Controller(supernet, hidden=hidden, scale=scale, temperature=temperature)
        super().__init__(
            controller.to(next(supernet.parameters()).device),
            rate=rate,
            samples=samples,
            entropy=entropy,
            baseline_decay=baseline_decay,
        )
        self.policy: nn.Module = self.controller
        self.candidates = candidates
        self.description = (
            f"enas, rate {rate}, samples {samples}, entropy {entropy}, baseline decay "
            f"{baseline_decay}, candidates {candidates}, hidden {hidden}, scale {scale}, "
            f"temperature {temperature}"
        )

    @torch.no_grad()
    def choice(self, done: float, generator: torch.Generator) -> Architecture:
        """Return what the weights are trained on in this step; see :class:`Method`."""
        return self.controller.draw(1, generator=generator).architectures[0]

    def gradients(
        self,
        supernet: SuperNet,
        train: Batch,
        validation: Batch,
        *,
        done: float,
        rate: float,
        generator: torch.Generator,
    ) -> list[Tensor]:
        """Return derivatives by the policy's parameters, of their shapes; see :class:`Method`."""
        return self.estimate(
            lambda each: _accuracy(supernet, validation, each), generator=generator
        )[0]

    def probabilities(self, generator: torch.Generator) -> list[Tensor]:
        """Return those of the choices held, ``(choices,)`` a decision; see :class:`Method`."""
        with torch.no_grad():
            drawn = self.controller.draw(64, generator=generator)
        return [each.mean(0) for each in drawn.probabilities]

    @torch.no_grad()
    def derive(
        self, supernet: SuperNet, validation: Batch, generator: torch.Generator
    ) -> Architecture:
        """Draw several networks and take the one with the highest reward (section 2.3).

        The reward is the accuracy on the batch, ``(B, C, H, W)`` and ``(B,)``.
        """
        drawn = self.controller.draw(self.candidates, generator=generator).architectures
        return max(drawn, key=lambda each: _accuracy(supernet, validation, each))

    def measured(self, supernet: SuperNet, architecture: Architecture) -> Architecture:
        """Return what measures a derived network; see :class:`Method`."""
        return architecture


@torch.no_grad()
def _accuracy(supernet: SuperNet, batch: Batch, architecture: Architecture) -> float:
    logits = supernet(batch[0], architecture)
    return (logits.argmax(1) == batch[1]).float().mean().item()
