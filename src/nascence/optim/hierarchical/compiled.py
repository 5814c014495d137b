"""The two passes of the hierarchical optimizer over a tensor as compiled loops, on a CPU."""

import ctypes

import torch
from torch import Tensor

from nascence.optim.feed_forward import SECOND
from nascence.optim.hierarchical.inputs import DECAYS, OWN_INPUTS
from nascence.optim.native import address, library
from nascence.optim.perceptron import NORM_EPSILON, Perceptron
from nascence.params import Params

SOURCE = "hierarchical/step.cpp"


class Loops:
    """One tensor, its gradient and its state; gradients are clipped at ``limit``."""

    def __init__(
        self, grad: Tensor, value: Tensor, slots: Params, *, limit: float, hidden: int
    ) -> None:
        self.library = library(SOURCE, hidden)
        self.hidden, self.slots, self.step = hidden, slots, slots["step"].item()
        self.grad, self.value = grad.float().contiguous(), value
        held = (self.grad, value, slots["momenta"], slots["seconds"])
        self.held = [address(tensor) for tensor in held]
        self.limit, self.size = ctypes.c_float(limit), ctypes.c_int64(value.numel())

    def sums(self) -> tuple[Tensor, Tensor]:
        """Move the averages on; sums and sums of squares ``(23,)`` of the inputs."""
        change = torch.tensor([1 - decay for decay in DECAYS])
        found = [torch.zeros(OWN_INPUTS, dtype=torch.float64) for _ in range(2)]
        self.library.moments(*self.held, *map(address, (change, *found)), self.limit, self.size)
        return found[0].float(), found[1].float()

    def step_(
        self,
        network: Perceptron,
        shared: Tensor,
        squares: Tensor,
        *,
        scale: float,
        rate: float,
        nominal: float | None,
    ) -> Tensor:
        """Add ``rate`` times the step to the value; returns the mean outputs.

        ``shared`` are the inputs that are equal for all, ``squares`` the sums of squares of the
        others; ``nominal`` is the learning rate of an Adam whose step is added.
        """
        count = self.value.numel()
        norm = torch.rsqrt(squares / count + NORM_EPSILON)
        first = network.first[:OWN_INPUTS] * norm[:, None]
        shift = shared @ network.first[OWN_INPUTS:] + network.first_bias
        rates = [-(nominal or 0.0) / (1 - 0.9**self.step), 1 / (1 - SECOND**self.step)]
        adam = torch.tensor(rates)  # named, as all of these: a call holds no reference
        last, last_bias = network.last[:, :2].contiguous(), network.last_bias[:2].contiguous()
        total = torch.zeros(self.hidden, dtype=torch.float64)
        layers = (first, shift, network.second, network.second_bias, last, last_bias)
        self.library.apply(
            *self.held,
            *map(address, (*layers, adam, total, self.value)),
            self.limit,
            *(ctypes.c_float(scale), ctypes.c_float(rate)),
            self.size,
        )
        return (total.float() / count) @ network.last + network.last_bias
