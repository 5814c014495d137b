"""What every fixed-point solver must do, as checks of the solver.

In a test of your own::

    @pytest.mark.parametrize("check", CHECKS)
    def test_contract(check):
        check(my_solver)
"""

from collections.abc import Callable

import torch
from torch import Tensor

from nascence.implicit import Solution, Status

Solver = Callable[..., Solution]
RADIUS = 0.6
TIGHT = {"tol": 1e-9, "max_iter": 200}


def _affine(seed: int = 0, size: int = 6, batch: int = 3) -> tuple[Tensor, Tensor]:
    """A matrix (N, N) of spectral radius 0.6 and shifts (B, N), float64."""
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(size, size, dtype=torch.float64, generator=generator)
    matrix *= RADIUS / torch.linalg.eigvals(matrix).abs().max()
    return matrix, torch.randn(batch, size, dtype=torch.float64, generator=generator)


def _start(shift: Tensor) -> Tensor:
    return torch.zeros_like(shift)


def _state(solution: Solution) -> Tensor:
    assert isinstance(solution.state, Tensor), "a flat state (B, N) came back as something else"
    return solution.state


def check_affine_map(solver: Solver) -> None:
    """The fixed point of z -> z M + b is the solution of a linear system."""
    matrix, shift = _affine()
    solution = solver(lambda z: z @ matrix + shift, _start(shift), **TIGHT)
    identity = torch.eye(len(matrix), dtype=matrix.dtype)
    exact = torch.linalg.solve(identity - matrix, shift, left=False)
    torch.testing.assert_close(_state(solution), exact, rtol=0, atol=1e-6)
    assert solution.converged.all(), "it does not say that it converged"


def check_shapes(solver: Solver) -> None:
    """A state is shaped as the start, residuals and status (B,), the history (residuals, B)."""
    matrix, shift = _affine()
    start = _start(shift)
    solution = solver(lambda z: z @ matrix + shift, start, **TIGHT)
    assert torch.equal(start, torch.zeros_like(start)), "it writes into the start"
    assert _state(solution).shape == start.shape
    assert solution.residuals.shape == solution.status.shape == (len(start),)
    assert solution.history.shape[1:] == (len(start),)
    assert 0 < len(solution.history) <= solution.evaluations


def check_counts_evaluations(solver: Solver) -> None:
    """Evaluations are the calls of the map, at most those allowed and what ends a solve."""
    matrix, shift = _affine()
    calls = 0

    def counted(z: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return z @ matrix + shift

    solution = solver(counted, _start(shift), tol=1e-30, max_iter=7)
    assert solution.evaluations == calls
    assert not solution.converged.any(), "a tolerance that nothing reaches was reached"


def check_residuals(solver: Solver) -> None:
    """Residuals are those of the state that is returned: ||f(z) - z|| / ||f(z)||."""
    matrix, shift = _affine()
    solution = solver(lambda z: z @ matrix + shift, _start(shift), tol=1e-4, max_iter=100)
    moved = _state(solution) @ matrix + shift
    found = (moved - _state(solution)).norm(dim=1) / moved.norm(dim=1)
    assert (found <= 2e-4).all(), f"residuals are {found.tolist()} at a tolerance of 1e-4"


def check_samples_are_apart(solver: Solver) -> None:
    """What one sample comes to does not depend on the others."""
    matrix, shift = _affine()
    together = _state(solver(lambda z: z @ matrix + shift, _start(shift), **TIGHT))
    alone = _state(solver(lambda z: z @ matrix + shift[:1], _start(shift[:1]), **TIGHT))
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-7)


def check_not_finite(solver: Solver) -> None:
    """A map that gives NaN ends with that status and a finite state."""
    start = torch.ones(2, 3, dtype=torch.float64)
    solution = solver(lambda z: z * torch.nan, start, **TIGHT)
    assert (solution.status == Status.NON_FINITE).all()
    assert _state(solution).isfinite().all()


CHECKS: tuple[Callable[[Solver], None], ...] = (
    check_affine_map,
    check_shapes,
    check_counts_evaluations,
    check_residuals,
    check_samples_are_apart,
    check_not_finite,
)
"""All checks."""


def check_solver(solver: Solver) -> None:
    """Run all `CHECKS` on a solver.

    Raises:
        AssertionError: It breaks what solvers of `nascence.implicit` promise.
    """
    for check in CHECKS:
        check(solver)
