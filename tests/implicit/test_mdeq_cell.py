"""The cell of a multiscale equilibrium network."""

import pytest
import torch

from nascence.implicit.mdeq_cell import MDEQCell


def test_streams_halve_and_start_from_zero() -> None:
    cell = MDEQCell((8, 16, 16), groups=4, expansion=2)
    injection = torch.randn(2, 8, 8, 12)
    streams = cell.initial_state(injection)
    assert [tuple(s.shape) for s in streams] == [(2, 8, 8, 12), (2, 16, 4, 6), (2, 16, 2, 3)]
    assert [s.shape for s in cell(streams, injection)] == [s.shape for s in streams]
    with pytest.raises(ValueError, match="6x8 pixels; 3 streams need multiples of 4"):
        cell.initial_state(torch.zeros(1, 8, 6, 8))
