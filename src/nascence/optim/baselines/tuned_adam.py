"""The two forms of Adam that published comparisons tune, with their search spaces.

Both are from TaskSet (Metz et al. 2020, arXiv:2002.11887, appendix) and work under vmap with one
setting for each network. Their schedules are in units of the whole training; where its length is
unknown, `REFERENCE_STEPS` is assumed.
"""

import math

import torch
from torch import Tensor, nn

from nascence.optim.baselines.first_order import Adam, AdamW, logarithm
from nascence.params import Params

REFERENCE_STEPS = 10_000.0
# Half-decades from 3e-7 to 1, those of the comparison in Metz et al. (2020, arXiv:2009.11243).
LEARNING_RATES = tuple(
    round(factor * 10.0**power, 9) for power in range(-7, 1) for factor in (1, 3)
)[1:-1]


def _length(told: Tensor) -> Tensor:
    return torch.where(torch.isfinite(told), told, REFERENCE_STEPS)


class Adam8p(Adam):
    """Adam with eight settings: rate, betas, epsilon, l1, l2, linear and exponential decay.

    The gradient is that of ``loss + l1 sum |w| + l2 sum w²``, and the rate is multiplied by
    ``max(1 - linear t, 0) exp(-exponential t)`` with t the steps taken, rescaled so that the whole
    training has 10,000. Epsilon is that of algorithm 1 of Kingma & Ba. Theta gains ``log_l1``,
    ``log_l2``, ``log_linear`` and ``log_exponential`` to that of Adam.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        l1: float = 0.0,
        l2: float = 0.0,
        linear: float = 0.0,
        exponential: float = 0.0,
    ) -> None:
        super().__init__(learning_rate, betas=betas, epsilon=epsilon)
        self.log_l1 = logarithm("l1", l1, zero=True)
        self.log_l2 = logarithm("l2", l2, zero=True)
        self.log_linear = logarithm("linear", linear, zero=True)
        self.log_exponential = logarithm("exponential", exponential, zero=True)

    def penalties(self, theta: Params) -> tuple[Tensor | None, Tensor | None]:
        """Factors of what is added to the gradient: of the signs, and of the values.

        Each is ``()`` or ``(N,)``, as theta's settings are.
        """
        return theta["log_l1"].exp(), 2 * theta["log_l2"].exp()

    def factor(self, theta: Params, taken: Tensor, num_steps: Tensor) -> Tensor:
        """The factor of the rate after ``taken`` of ``num_steps`` steps.

        All are ``()`` or ``(N,)``.
        """
        time = taken * (REFERENCE_STEPS / _length(num_steps))
        linear = torch.clamp(1 - theta["log_linear"].exp() * time, min=0)
        return linear * torch.exp(-theta["log_exponential"].exp() * time)


class NAdamWCosine(AdamW):
    """AdamW, or NAdamW where ``nesterov`` is 1, with l2 penalty, warm-up and cosine decay.

    The rate rises from 0 over the share ``warmup`` of the training (at most ``constant``), stays
    until the share ``constant``, and falls along half a cosine to ``floor`` times itself. The
    penalty adds ``l2 w`` to the gradient; the published code subtracts it, which lets weights grow,
    and its port to torch makes warm-up last at least as long as ``constant``: both are not copied.
    Theta gains ``log_l2``, ``nesterov``, ``warmup``, ``floor`` and ``constant`` to that of AdamW.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        nesterov: float = 1.0,
        warmup: float = 0.0,
        floor: float = 1.0,
        constant: float = 1.0,
    ) -> None:
        super().__init__(learning_rate, betas=betas, epsilon=epsilon, weight_decay=weight_decay)
        self.log_l2 = logarithm("l2", l2, zero=True)
        self.nesterov = _share("nesterov", nesterov)
        self.warmup = _share("warmup", warmup)
        self.floor = _share("floor", floor)
        self.constant = _share("constant", constant)

    def penalties(self, theta: Params) -> tuple[Tensor | None, Tensor | None]:
        """Factors of what is added to the gradient: of the signs, and of the values.

        Each is ``()`` or ``(N,)``, as theta's settings are.
        """
        return None, theta["log_l2"].exp()

    def lookahead(self, theta: Params) -> Tensor | None:
        """The share of Nesterov's step, ``()`` or ``(N,)``."""
        return theta["nesterov"]

    def factor(self, theta: Params, taken: Tensor, num_steps: Tensor) -> Tensor:
        """The factor of the rate after ``taken`` of ``num_steps`` steps.

        All are ``()`` or ``(N,)``.
        """
        constant, floor = theta["constant"], theta["floor"]
        done = torch.clamp(taken / _length(num_steps), max=1.0)
        warmup = torch.minimum(theta["warmup"], constant)
        rising = done / torch.clamp(warmup, min=1e-12)
        fallen = torch.clamp((done - constant) / (1 - constant).clamp(min=1e-6), 0, 1)
        cosine = floor + (1 - floor) * (0.5 + 0.5 * torch.cos(math.pi * fallen))
        return torch.where(done < warmup, rising, cosine)


def _share(name: str, value: float) -> nn.Parameter:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; it must be between 0 and 1")
    return nn.Parameter(torch.tensor(float(value)))


def learning_rates() -> Params:
    """Theta of `Adam` at each of the 14 `LEARNING_RATES`: AdamLR."""
    adam = Adam()
    theta = {
        name: value.detach().repeat(len(LEARNING_RATES)) for name, value in adam.named_parameters()
    }
    return {**theta, "log_rate": torch.tensor(LEARNING_RATES).log()}


def sample_adam8p(count: int, *, generator: torch.Generator) -> Params:
    """Theta ``(count,)`` of `Adam8p`, log-uniform in the published ranges.

    Rate 1e-8 to 10, 1 - beta1 1e-4 to 1, 1 - beta2 1e-6 to 1, epsilon 1e-10 to 1,000, l1 and l2
    1e-8 to 10, linear decay 1e-7 to 1e-4, exponential 1e-6 to 1e-3.
    """
    ranges = {
        "log_rate": (1e-8, 10.0),
        "log_decay1": (1e-4, 1.0),
        "log_decay2": (1e-6, 1.0),
        "log_epsilon": (1e-10, 1e3),
        "log_l1": (1e-8, 10.0),
        "log_l2": (1e-8, 10.0),
        "log_linear": (1e-7, 1e-4),
        "log_exponential": (1e-6, 1e-3),
    }
    drawn = torch.rand(count, len(ranges), generator=generator)
    return {
        name: math.log(low) + math.log(high / low) * drawn[:, column]
        for column, (name, (low, high)) in enumerate(ranges.items())
    }
