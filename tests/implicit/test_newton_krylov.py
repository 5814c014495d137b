"""Newton with GMRES."""

import pytest
import torch

from nascence.implicit import newton_krylov


def test_convergence_is_faster_than_linear() -> None:
    zero = torch.full((1, 3), 3.0, dtype=torch.float64)
    cubic = lambda z: z - (z**3 + z - torch.tensor([10.0, 2.0, 30.0]))  # noqa: E731
    found = newton_krylov(cubic, zero, tol=1e-10, max_iter=100)
    assert found.converged.all()
    assert torch.allclose(found.state[0], torch.tensor([2.0, 1.0, 3.0], dtype=torch.float64))
    late = found.history[-3:, 0]
    assert late[2] < late[1] * (late[1] / late[0]) ** 0.5


def test_an_affine_map_is_one_step() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = 5 * torch.randn(6, 6, dtype=torch.float64, generator=generator)
    map_ = lambda z: z @ matrix + 1  # noqa: E731
    found = newton_krylov(
        map_, torch.zeros(2, 6, dtype=torch.float64), tol=1e-9, max_iter=30, affine=True
    )
    assert found.converged.all()
    assert len(found.history) == 2
    assert found.evaluations <= 8


def test_evaluations_stay_within_the_budget() -> None:
    calls = []

    def counted(z: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return torch.cos(3 * z) + z.flip(1)

    for budget in (1, 2, 5, 9):
        calls.clear()
        found = newton_krylov(counted, torch.zeros(2, 4), tol=1e-9, max_iter=budget)
        assert found.evaluations == len(calls) <= budget


def test_it_has_no_fixed_form() -> None:
    with pytest.raises(ValueError, match="use picard, anderson or broyden"):
        newton_krylov(torch.cos, torch.zeros(1, 1), tol=None, max_iter=3)
