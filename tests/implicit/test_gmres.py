"""GMRES against dense solves."""

import torch

from nascence.implicit.gmres import gmres


def test_a_batch_of_systems_is_solved_in_as_many_products_as_unknowns() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(4, 6, 6, dtype=torch.float64, generator=generator)
    right = torch.randn(4, 6, dtype=torch.float64, generator=generator)
    right[2] = 0  # nothing to solve
    matrix[3] = torch.eye(6, dtype=torch.float64)  # ends after one product
    calls = []

    def product(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return (matrix @ x.unsqueeze(2)).squeeze(2)

    found = gmres(product, right, target=torch.full((4,), 1e-10, dtype=torch.float64), memory=10)
    assert len(calls) <= 6
    assert torch.allclose(found, torch.linalg.solve(matrix, right), atol=1e-8)


def test_the_residual_meets_its_target_early() -> None:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(2, 50, 50, dtype=torch.float64, generator=generator)
    matrix = torch.eye(50, dtype=torch.float64) + 0.05 * noise
    right = torch.randn(2, 50, dtype=torch.float64, generator=generator)
    target = 1e-2 * right.norm(dim=1)
    calls = []

    def product(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return (matrix @ x.unsqueeze(2)).squeeze(2)

    found = gmres(product, right, target=target, memory=50)
    assert ((product(found) - right).norm(dim=1) <= 1.01 * target).all()
    assert len(calls) < 20
    nothing = gmres(product, right, target=torch.full_like(target, torch.inf), memory=5)
    assert not nothing.any()
