"""Picard iteration."""

import pytest
import torch

from nascence.implicit import Status, picard


@pytest.mark.parametrize("damping", [1.0, 0.5])
def test_the_rate_is_that_of_the_map(damping: float) -> None:
    zero = torch.zeros(1, 1, dtype=torch.float64)
    found = picard(
        lambda z: 0.5 * z + 1, zero, tol=1e-12, max_iter=200, norm="absolute", damping=damping
    )
    rates = found.history[1:10] / found.history[:9]
    assert torch.allclose(rates, torch.full_like(rates, 1 - 0.5 * damping))


def test_damping_makes_an_oscillation_converge() -> None:
    zero = torch.zeros(1, 1)
    assert picard(lambda z: 1 - z, zero, tol=1e-5, max_iter=50).status.item() == Status.STALLED
    found = picard(lambda z: 1 - z, zero, tol=1e-5, max_iter=50, damping=0.5)
    assert found.state.item() == 0.5
