"""The two passes of the hierarchical optimizer over a tensor as compiled loops, on a CPU."""

import ctypes

import torch
from torch import Tensor

from nascence.optim.hierarchical.inputs import DECAYS, OWN_INPUTS
from nascence.optim.native import address, library
from nascence.optim.perceptron import FIRST, NORM_EPSILON, SECOND, PerceptronWeights

SOURCE = "hierarchical/step.cpp"


class Loops:
    """One tensor, whose averages ``(5, ...)`` and values are changed.

    Arguments are those of `nascence.optim.perceptron.Pieces`; ``hidden`` is the perceptron's width.
    """

    def __init__(
        self,
        grad: Tensor,
        value: Tensor,
        momenta: Tensor,
        seconds: Tensor,
        *,
        step: Tensor,
        limit: float,
        hidden: int,
    ) -> None:
        self.library, self.hidden, self.step = library(SOURCE, hidden), hidden, step.item()
        self.tensors = (grad.float().contiguous(), value, momenta, seconds)
        self.held = [address(tensor) for tensor in self.tensors]
        self.limit, self.size = ctypes.c_float(limit), ctypes.c_int64(value.numel())

    def sums(self) -> tuple[Tensor, Tensor]:
        """Move the averages on; sums and sums of squares ``(23,)`` of the inputs."""
        change = torch.tensor([1 - decay for decay in DECAYS])
        found = [torch.zeros(OWN_INPUTS, dtype=torch.float64) for _ in range(2)]
        self.library.moments(*self.held, *map(address, (change, *found)), self.limit, self.size)
        return found[0].float(), found[1].float()

    def step_(
        self,
        network: PerceptronWeights,
        shared: Tensor,
        squares: Tensor,
        *,
        scale: float,
        rate: float,
        nominal: float | None,
    ) -> Tensor:
        """Add ``rate`` times the step to the value, by squares ``(23,)``; see `Pieces.step_`."""
        count = self.size.value
        norm = torch.rsqrt(squares / count + NORM_EPSILON)
        first = network.first[:OWN_INPUTS] * norm[:, None]
        shift = shared @ network.first[OWN_INPUTS:] + network.first_bias
        rates = [-(nominal or 0.0) / (1 - FIRST**self.step), 1 / (1 - SECOND**self.step)]
        adam = torch.tensor(rates)  # named, as all of these: a call holds no reference
        last, last_bias = network.last[:, :2].contiguous(), network.last_bias[:2].contiguous()
        total = torch.zeros(self.hidden, dtype=torch.float64)
        layers = (first, shift, network.second, network.second_bias, last, last_bias)
        self.library.apply(
            *self.held,
            *map(address, (*layers, adam, total)),
            self.limit,
            *(ctypes.c_float(scale), ctypes.c_float(rate)),
            self.size,
        )
        return (total.float() / count) @ network.last + network.last_bias
