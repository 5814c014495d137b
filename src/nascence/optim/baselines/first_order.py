"""Hand-designed optimizers in the form of learned ones: every setting is a tensor.

Because a setting is a parameter, thousands of settings run in one vmap, and evolution strategies
can learn them. Positive settings are stored as logarithms, and decays beta as the logarithm of 1 -
beta.
"""

import math

import torch
from torch import Tensor, nn

from nascence.optim.contract import Kernel, State, TensorWise
from nascence.params import Params


def logarithm(name: str, value: float, *, zero: bool = False) -> nn.Parameter:
    """Return a setting ``()`` as it is stored; with ``zero`` it may be 0, minus infinity there.

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
        """Return the shapes of the state of one tensor."""
        return {"momentum": tuple(shape)}

    def rule(
        self, grad: Tensor, slots: Params, value: Tensor, num_steps: Tensor
    ) -> tuple[Tensor, Params]:
        """Return the update of one tensor and its next state; see `TensorWise.rule`."""
        momentum = self.momentum * slots["momentum"] + grad
        return -self.log_rate.exp() * momentum, {"momentum": momentum}


class Adam(TensorWise):
    """Adam (Kingma & Ba 2015, algorithm 1).

    Theta: ``log_rate``, ``log_decay1`` and ``log_decay2`` (of 1 - beta), ``log_epsilon``. What
    derived forms add are functions of theta, whose settings are ``()`` each, or ``(N,)`` for N
    networks.
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
        """Return the shapes of the state of one tensor."""
        return {"first": tuple(shape), "second": tuple(shape)}

    def penalties(self, theta: Params) -> tuple[Tensor | None, Tensor | None]:
        """Factors of what is added to the gradient: of the signs, and of the values."""
        return None, None

    def lookahead(self, theta: Params) -> Tensor | None:
        """The share of Nesterov's step (Dozat 2016), if there is one."""
        return None

    def shrinkage(self, theta: Params) -> Tensor | None:
        """Decoupled weight decay in units of the rate, if there is any."""
        return None

    def factor(self, theta: Params, taken: Tensor, num_steps: Tensor) -> Tensor:
        """The factor of the rate after ``taken`` of ``num_steps`` steps."""
        return torch.ones_like(taken)

    def rule(
        self, grad: Tensor, slots: Params, value: Tensor, num_steps: Tensor
    ) -> tuple[Tensor, Params]:
        """Return the update of one tensor and its next state; see `TensorWise.rule`."""
        return self.moved(dict(self.named_parameters()), grad, slots, value, num_steps)

    def moved(
        self, theta: Params, grad: Tensor, slots: Params, value: Tensor, num_steps: Tensor
    ) -> tuple[Tensor, Params]:
        """`rule` for given settings, in few passes over memory.

        With settings ``(N,)``, ``step`` and ``num_steps`` are ``(N,)`` and tensors ``(N, ...)``.
        """

        def wide(setting: Tensor) -> Tensor:
            return setting.reshape(setting.shape + (1,) * (grad.dim() - setting.dim()))

        sign, penalty = self.penalties(theta)
        if penalty is not None:
            grad = torch.addcmul(grad, wide(penalty), value)
        if sign is not None:
            grad = torch.addcmul(grad, wide(sign), value.sign())
        decay1, decay2 = theta["log_decay1"].exp(), theta["log_decay2"].exp()
        first = torch.lerp(slots["first"], grad, wide(decay1))
        second = torch.lerp(slots["second"], grad * grad, wide(decay2))
        share = self.lookahead(theta)
        ahead = first if share is None else torch.lerp(first, grad, wide(share * decay1))
        # (m / c1) / (√(v / c2) + ε) is m (√c2 / c1) / (√v + ε √c2)
        root2 = (1 - (1 - decay2) ** slots["step"]).sqrt()
        size = theta["log_rate"].exp() * self.factor(theta, slots["step"] - 1, num_steps)
        update = ahead / second.sqrt().add_(wide(theta["log_epsilon"].exp() * root2))
        update.mul_(wide(-size * root2 / (1 - (1 - decay1) ** slots["step"])))
        shrink = self.shrinkage(theta)
        if shrink is not None:
            update.addcmul_(wide(-size * shrink), value)
        return update, {"first": first, "second": second}

    def _kernel(self) -> Kernel:
        return _AdamKernel(self)


class _AdamKernel(Kernel):
    """The step of N networks without vmap, in which comparisons spend most of their time."""

    optimizer: Adam

    @torch.no_grad()
    def step_stacked_(
        self, theta: Params, grads: Params, state: State, params: Params, *, loss: Tensor
    ) -> None:
        """Take a step of N networks; see `Kernel.step_stacked_`."""
        for name, grad in grads.items():
            slots = state["tensors"][name]
            slots["step"] = slots["step"] + 1
            update, new = self.optimizer.moved(
                theta, grad, slots, params[name], state["shared"]["num_steps"]
            )
            slots.update(new)
            params[name] += update


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

    def shrinkage(self, theta: Params) -> Tensor | None:
        """Decoupled weight decay in units of the rate, ``()`` or ``(N,)``."""
        return theta["log_shrink"].exp()


class NAdamW(AdamW):
    """AdamW whose momentum looks ahead (Dozat 2016): ``beta m + (1 - beta) g`` for m."""

    def lookahead(self, theta: Params) -> Tensor | None:
        """The share of Nesterov's step: all of it, ``()`` or ``(N,)``."""
        return torch.ones_like(theta["log_rate"])
