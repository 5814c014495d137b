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
        self.grad, self.value = work.grad.contiguous(), work.value.contiguous()
        self.work = work
        self.networks, self.rows, self.columns = work.grad.shape
        self.library = library(SOURCE, hidden)

    def moments(self, decays: Decays) -> Sums:
        work = self.work
        squares = work.second.new_zeros((self.networks, 10), dtype=torch.float64)
        by_row = by_column = None
        if self.rows > 1:
            by_row = work.second.new_zeros((self.networks, self.rows))
            by_column = work.second.new_zeros((self.networks, self.columns))
        change = torch.cat([decays.momenta, decays.second[:, None]], 1)
        held: list[Tensor | None] = [self.grad, self.value]
        held += [work.momenta.contiguous(), work.second.contiguous(), work.new_momenta]
        held += [work.new_second, change, by_row, by_column, squares]
        sizes = (self.networks, self.rows, self.columns)
        self.library.moments(*map(address, held), *map(ctypes.c_int64, sizes))
        return Sums(squares.float(), by_row, by_column)

    def apply(self, folded: Folded) -> None:
        work = self.work
        first = [self.grad, self.value, work.new_momenta, work.new_second]
        layers = [folded.by_row, folded.down, folded.by_column, folded.across]
        layers += [folded.weights, folded.middle, folded.middle_bias]
        layers += [folded.outer, folded.outer_bias]
        held = [None if part is None else part.contiguous() for part in (*layers, folded.size)]
        sizes = (self.networks, self.rows, self.columns)
        self.library.apply(*map(address, (*first, *held, work.target)), *map(ctypes.c_int64, sizes))
