"""Limited-memory Broyden."""

import torch

from nascence.implicit import broyden


def affine(radius: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(12, 12, dtype=torch.float64, generator=generator)
    matrix *= radius / torch.linalg.eigvals(matrix).abs().max()
    return matrix, torch.randn(3, 12, dtype=torch.float64, generator=generator)


def test_it_goes_on_past_its_memory() -> None:
    matrix, shift = affine(0.95)
    exact = torch.linalg.solve(torch.eye(12, dtype=torch.float64) - matrix.T, shift.T).T
    zero = torch.zeros_like(shift)
    found = broyden(lambda z: z @ matrix + shift, zero, tol=1e-9, max_iter=300, memory=4)
    assert found.evaluations > 8
    assert found.converged.all()
    assert torch.allclose(found.state, exact, atol=1e-6 * exact.abs().max().item())


def test_memory_reaches_the_end_in_twice_the_dimensions() -> None:
    # Gay 1979: Broyden's method solves n linear equations in at most 2n steps
    matrix, shift = affine(3.0)
    matrix, shift = matrix[:4, :4], shift[:, :4]
    zero = torch.zeros_like(shift)
    found = broyden(lambda z: z @ matrix + shift, zero, tol=1e-8, max_iter=12, memory=12)
    assert found.converged.all()
    assert found.evaluations <= 2 * 4 + 1
