"""The two passes of the small optimizer as a compiled loop, on a CPU.

In one loop over the parameters everything between the inputs and the step stays in registers.
"""

import ctypes

import torch
from torch import Tensor

from nascence.optim.native import address, library
from nascence.optim.small.folding import Folded, Sums
from nascence.optim.small.network import Decays
from nascence.optim.small.pieces import Work

SOURCE = "small/step.cpp"


class Loops:
    """`nascence.optim.small.pieces.Passes` in compiled loops, for float32 on a CPU."""

    def __init__(self, work: Work, *, hidden: int) -> None:
        self.networks, self.rows, self.columns = work.grad.shape
        self.held = (work.grad.contiguous(), work.value, work.momenta, work.second)
        self.library = library(SOURCE, hidden)

    def _call(self, name: str, *tensors: Tensor | None) -> None:
        sizes = map(ctypes.c_int64, (self.networks, self.rows, self.columns))
        getattr(self.library, name)(*map(address, (*self.held, *tensors)), *sizes)

    def moments(self, decays: Decays) -> Sums:
        """Update the averages, and return the sums."""
        new = self.held[1].new_zeros
        squares = new((self.networks, 10), dtype=torch.float64)
        by_row = by_column = None
        if self.rows > 1:
            by_row, by_column = new((self.networks, self.rows)), new((self.networks, self.columns))
        change = torch.cat([decays.momenta, decays.second[:, None]], 1)
        self._call("moments", change, by_row, by_column, squares)
        return Sums(squares.float(), by_row, by_column)

    def apply(self, folded: Folded) -> None:
        """Add the step to the value."""
        layers = [folded.by_row, folded.down, folded.by_column, folded.across]
        layers += [folded.weights, folded.middle, folded.middle_bias]
        layers += [folded.outer, folded.outer_bias, folded.size]
        held = [None if part is None else part.contiguous() for part in layers]
        self._call("apply", *held)
