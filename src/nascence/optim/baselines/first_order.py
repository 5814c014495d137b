"""Hand-designed optimizers in the form of the learned ones, each setting a tensor.

Because a setting is a parameter, thousands of settings run in one vmap, and evolution
strategies can learn them. Positive settings are held as their logarithms, and decays beta as
the logarithm of 1 - beta.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nascence.optim.contract import LearnedOptimizer, State, horizon
from nascence.params import Params

TensorRule = Callable[[Tensor, Params, Tensor], tuple[Tensor, Params]]


class _TensorWise(LearnedOptimizer, ABC):
    """An optimizer that treats every tensor alone, by `rule`, and counts steps."""

    slots: tuple[str, ...] = ()

    def init(self, params: Params, *, num_steps: Tensor | float | None = None) -> State:
        tensors = {
            name: {
                "step": torch.zeros((), device=value.device),
                **{slot: torch.zeros_like(value, dtype=torch.float32) for slot in self.slots},
            }
            for name, value in params.items()
        }
        return {"tensors": tensors, "shared": {"num_steps": horizon(num_steps)}}

    def update(
        self,
        grads: Params,
        state: State,
        params: Params,
        *,
        loss: Tensor | None = None,
        valid_loss: Tensor | None = None,
    ) -> tuple[Params, State]:
        updates, tensors = {}, dict(state["tensors"])
        for name, grad in grads.items():
            step = state["tensors"][name]["step"] + 1
            updates[name], slots = self.rule(
                grad.float(), {**state["tensors"][name], "step": step}, params[name].float()
            )
            tensors[name] = {**slots, "step": step}
        return updates, {"tensors": tensors, "shared": state["shared"]}

    @abstractmethod
    def rule(self, grad: Tensor, slots: Params, value: Tensor) -> tuple[Tensor, Params]:
        """The update of one tensor and its next slots; ``slots["step"]`` counts from 1."""


def logarithm(name: str, value: float, *, zero: bool = False) -> nn.Parameter:
    """A setting as it is held, ``()``; with ``zero`` it may be 0, held as minus infinity.

    Raises ValueError for what has no logarithm.
    """
    if zero and value == 0:
        return nn.Parameter(torch.tensor(-torch.inf))
    if not value > 0:
        raise ValueError(f"{name} is {value}; it must be positive{' or 0' if zero else ''}")
    return nn.Parameter(torch.tensor(math.log(value)))


class SGD(_TensorWise):
    """Gradient descent with heavy-ball momentum (Polyak 1964): ``m <- beta m + g``.

    Theta: ``log_rate`` and ``momentum``, each ``()``.
    """

    slots = ("momentum",)

    def __init__(self, learning_rate: float = 0.1, *, momentum: float = 0.9) -> None:
        super().__init__()
        self.log_rate = logarithm("learning_rate", learning_rate)
        self.momentum = nn.Parameter(torch.tensor(float(momentum)))

    def rule(self, grad: Tensor, slots: Params, value: Tensor) -> tuple[Tensor, Params]:
        momentum = self.momentum * slots["momentum"] + grad
        return -self.log_rate.exp() * momentum, {"momentum": momentum}


class Adam(_TensorWise):
    """Adam (Kingma & Ba 2015, algorithm 1), optionally with Nesterov momentum and weight decay.

    Theta: ``log_rate``, ``log_decay1`` and ``log_decay2`` (of 1 - beta), ``log_epsilon``.
    """

    slots = ("first", "second")

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

    def rule(self, grad: Tensor, slots: Params, value: Tensor) -> tuple[Tensor, Params]:
        decay1, decay2 = self.log_decay1.exp(), self.log_decay2.exp()
        first = slots["first"] + decay1 * (grad - slots["first"])
        second = slots["second"] + decay2 * (grad * grad - slots["second"])
        correction1 = 1 - (1 - decay1) ** slots["step"]
        correction2 = 1 - (1 - decay2) ** slots["step"]
        ahead = self.ahead(first, grad, decay1) / correction1
        denominator = (second / correction2).sqrt() + self.log_epsilon.exp()
        return -self.log_rate.exp() * ahead / denominator, {"first": first, "second": second}

    def ahead(self, first: Tensor, grad: Tensor, decay: Tensor) -> Tensor:
        """The momentum that the step follows."""
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

    def rule(self, grad: Tensor, slots: Params, value: Tensor) -> tuple[Tensor, Params]:
        step, following = super().rule(grad, slots, value)
        return step - self.log_rate.exp() * self.log_shrink.exp() * value, following


class NAdamW(AdamW):
    """AdamW whose momentum looks ahead (Dozat 2016): ``beta m + (1 - beta) g`` for m."""

    def ahead(self, first: Tensor, grad: Tensor, decay: Tensor) -> Tensor:
        return first + decay * (grad - first)
