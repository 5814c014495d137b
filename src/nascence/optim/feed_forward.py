"""The feed-forward learned optimizer of Metz et al. (2019, arXiv:1810.10180), section 3."""

from typing import Any

import torch
from torch import Tensor

from nascence.optim import perceptron
from nascence.optim.contract import Kernel, Losses, State, TensorWise
from nascence.optim.perceptron import (
    LARGEST_GRADIENT,
    SECOND,
    PerceptronWeights,
    adam_step,
    averaged,
    random_perceptron,
)
from nascence.optim.time_features import PERIODS, time_features
from nascence.params import Params

DECAYS = (0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
NOMINAL = DECAYS.index(perceptron.FIRST)
SCALE = 1e-3


class FeedForward(TensorWise):
    """A perceptron for each parameter: gradient, value, six momenta, and eleven time features.

    The step is ``-0.001 d exp(0.001 a)`` from outputs d and a, plus, if ``nominal`` is a learning
    rate, that of Adam. State: 24 bytes a parameter, 28 with ``nominal``.
    Theta: `PerceptronWeights` with 19 inputs and two hidden layers.

    Args:
        hidden: Units of both hidden layers.
        nominal: Learning rate of the Adam whose step is added; None for the form of the paper.
        generator: Source of the first theta; without one it is always the same.

    Raises:
        ValueError: If ``hidden`` or ``nominal`` is not positive.
    """

    def __init__(
        self,
        hidden: int = 32,
        *,
        nominal: float | None = 1e-3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.hidden, self.nominal = hidden, nominal
        self.network = random_perceptron(
            2 + len(DECAYS) + PERIODS, hidden, 2, nominal=nominal, generator=generator
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments that make another instance of the same form."""
        return {"hidden": self.hidden, "nominal": self.nominal}

    def _kernel(self) -> Kernel:
        return _FeedForwardKernel(self, self.network, nominal=self.nominal)

    def slots(self, shape: torch.Size) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the averages of a tensor."""
        second = {} if self.nominal is None else {"second": tuple(shape)}
        return {"momenta": (len(DECAYS), *shape), **second}

    def rule(
        self, grad: Tensor, slots: Params, value: Tensor, num_steps: Tensor
    ) -> tuple[Tensor, Params]:
        """The step of one tensor with every input of the perceptron written out, ``(n, 19)``."""
        grad = grad.clamp(-LARGEST_GRADIENT, LARGEST_GRADIENT)
        new = {"momenta": averaged(slots["momenta"], grad, DECAYS)}
        inputs = torch.stack([x.reshape(-1) for x in (grad, value, *new["momenta"])], 1)
        flat = perceptron.normalised(inputs)
        time = time_features(slots["step"], num_steps)[:PERIODS]
        flat = torch.cat([flat, time.expand(len(flat), PERIODS)], 1)
        out = perceptron.forward(PerceptronWeights(**dict(self.network.items())), flat)
        step = perceptron.learned_step(out, SCALE).reshape(grad.shape)
        if self.nominal is not None:
            new["second"] = averaged(slots["second"][None], grad * grad, (SECOND,))[0]
            step = step + adam_step(
                new["momenta"][NOMINAL], new["second"], slots["step"], self.nominal
            )
        return step, new


class _FeedForwardKernel(perceptron.PerceptronKernel):
    """The step of `FeedForward` in pieces that stay in the cache."""

    def _step_one_(
        self, grads: Params, state: State, params: Params, rates: dict[str, float], losses: Losses
    ) -> None:
        sizes = [grad.numel() for grad in grads.values()]
        room = perceptron.room_for(_Pieces.planes, self.network, sizes)
        for name, grad in grads.items():
            slots, value = state["tensors"][name], params[name]
            slots["step"] += 1
            time = time_features(slots["step"], state["shared"]["num_steps"])[:PERIODS]
            pieces = _Pieces(
                *(grad, value, slots["momenta"], slots.get("second")),
                step=slots["step"],
                limit=LARGEST_GRADIENT,
                room=room,
            )
            _, squares = pieces.sums()
            pieces.step_(
                *(self.network, time, squares), scale=SCALE, rate=rates[name], nominal=self.nominal
            )


class _Pieces(perceptron.Pieces):
    """One tensor: gradient and value in the room, the momenta where they are."""

    planes = 2
    decays = DECAYS
    second_decays = (SECOND,)

    def fill(self, piece: slice, room: Tensor) -> list[Tensor]:
        """See `nascence.optim.perceptron.Pieces.fill`."""
        room[0].copy_(self.grad[piece]).clamp_(-self.limit, self.limit)
        room[1].copy_(self.value[piece])
        return [self.averages[0][0][:, piece]]
