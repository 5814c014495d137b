"""One mask for a solve, another for the next."""

import copy

import pytest
import torch
from torch import Tensor, nn

from nascence.implicit import DEQ, SolveDropout


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dropout = SolveDropout(0.5)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return self.dropout(0.25 * z + x)


def test_the_mask_lasts_for_a_solve() -> None:
    torch.manual_seed(0)
    layer = DEQ(Cell(), solver="picard", tol=1e-6, max_iter=60)
    x = torch.ones(2, 50)
    first = layer.solve(x)
    assert first.converged.all()
    # kept values are doubled: z = 2 (z / 4 + 1) = 4, the others zero
    assert set(first.state.round(decimals=3).unique().tolist()) == {0.0, 4.0}
    assert not torch.equal(layer(x), first.state)
    layer.eval()
    assert torch.allclose(layer(x), torch.full_like(x, 4 / 3), atol=1e-4)


def test_the_mask_is_no_part_of_a_copy() -> None:
    dropout = SolveDropout(0.3)
    dropout(torch.ones(2, 3))
    assert dropout._mask is not None
    assert copy.deepcopy(dropout)._mask is None
    with pytest.raises(ValueError, match="p is 1"):
        SolveDropout(1.0)
