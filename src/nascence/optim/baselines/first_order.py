"""Hand-designed optimizers in the form of the learned ones, each setting a tensor.

Because a setting is a parameter, thousands of settings run in one vmap, and evolution
strategies can learn them. Positive settings are held as their logarithms, and decays beta as
the logarithm of 1 - beta.
"""

import math

import torch
from torch import Tensor, nn

from nascence.optim.contract import TensorWise
from nascence.params import Params


def logarithm(name: str, value: float, *, zero: bool = False) -> nn.Parameter:
    """Return a setting as it is held, ``()``; with ``zero`` it may be 0, held as minus infinity.

    Raises:
        ValueError: If it has no logarithm.
    """
    if zero and value == 0:
        return nn.Parameter(torch.tensor(-torch.inf))
    if not value > 0:
        raise ValueError(f"{name} is {value}; it must be positive{' or 0' if zero else ''}")
    return nn.Parameter(torch.tensor(math.log(value)))


class SGD(TensorWise):
    """Gradient descent with heavy-ball momentum (Polyak 1964): ``m <- beta m + g``.

    Theta: ``log_rate`` and ``momentum``, each ``()``.
    """

    def __init__(self, learning_rate: float = 0.1, *, momentum: float = 0.9) -> None:
        super().__init__()
        self.log_rate = logarithm("learning_rate", learning_rate)
        self.momentum = nn.Parameter(torch.tensor(float(momentum)))

    def slots(self, shape: torch.Size) -> dict[str, tuple[int, ...]]:
        """Return the shapes of what is kept for a tensor."""
        return {"momentum": tuple(shape)}

    def rule(
        self, grad: Tensor, slots: Params, value: Tensor, num_steps: Tensor
    ) -> tuple[Tensor, Params]:
        """Return the update of one tensor and its next slots; see `TensorWise.rule`."""
        momentum = self.momentum * slots["momentum"] + grad
        return -self.log_rate.exp() * momentum, {"momentum": momentum}


class Adam(TensorWise):
    """Adam (Kingma & Ba 2015, algorithm 1), optionally with Nesterov momentum and weight decay.

    Theta: ``log_rate``, ``log_decay1`` and ``log_decay2`` (of 1 - beta), ``log_epsilon``.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__()
        self.log_rate = logarithm("learning_rate", learning_rate)
        self.log_decay1 = logarithm("1 - beta1", 1 - betas[0])
        self.log_decay2 = logarithm("1 - beta2", 1 - betas[1])
        self.log_epsilon = logarithm("epsilon", epsilon)

    def slots(self, shape: torch.Size) -> dict[str, tuple[int, ...]]:
        """Return the shapes of what is kept for a tensor."""
        return {"first": tuple(shape), "second": tuple(shape)}

    def rule(
        self, grad: Tensor, slots: Params, value: Tensor, num_steps: Tensor
    ) -> tuple[Tensor, Params]:
        """Return the update of one tensor and its next slots; see `TensorWise.rule`."""
        decay1, decay2 = self.log_decay1.exp(), self.log_decay2.exp()
        first = slots["first"] + decay1 * (grad - slots["first"])
        second = slots["second"] + decay2 * (grad * grad - slots["second"])
        correction1 = 1 - (1 - decay1) ** slots["step"]
        correction2 = 1 - (1 - decay2) ** slots["step"]
        ahead = self.ahead(first, grad, decay1) / correction1
        denominator = (second / correction2).sqrt() + self.log_epsilon.exp()
        return -self.log_rate.exp() * ahead / denominator, {"first": first, "second": second}

    def ahead(self, first: Tensor, grad: Tensor, decay: Tensor) -> Tensor:
        """Return the momentum that the step follows."""
        return first


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019); theta gains ``log_shrink``."""

    def __init__(
        self,
        learning_rate: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(learning_rate, betas=betas, epsilon=epsilon)
        self.log_shrink = logarithm("weight_decay", weight_decay, zero=True)

    def rule(
        self, grad: Tensor, slots: Params, value: Tensor, num_steps: Tensor
    ) -> tuple[Tensor, Params]:
        """Return the update of one tensor and its next slots; see `TensorWise.rule`."""
        step, following = super().rule(grad, slots, value, num_steps)
        return step - self.log_rate.exp() * self.log_shrink.exp() * value, following


class NAdamW(AdamW):
    """AdamW whose momentum looks ahead (Dozat 2016): ``beta m + (1 - beta) g`` for m."""

    def ahead(self, first: Tensor, grad: Tensor, decay: Tensor) -> Tensor:
        """Return the momentum that the step follows."""
        return first + decay * (grad - first)
