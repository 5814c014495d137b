"""The size and the spectral radius of Jacobians against dense ones."""

import pytest
import torch
from torch import Tensor

from nascence.implicit import jacobian_penalty, spectral_radius


def dense(map_, z: Tensor) -> Tensor:
    """Jacobians (B, N, N) of each sample."""
    return torch.stack([torch.autograd.functional.jacobian(map_, row[None])[0, :, 0] for row in z])


def test_penalty_is_the_exact_norm_on_average(generator: torch.Generator) -> None:
    weight = torch.randn(5, 5, dtype=torch.float64, generator=generator)
    z = torch.randn(3, 5, dtype=torch.float64, generator=generator)
    map_ = lambda z: torch.tanh(z @ weight)  # noqa: E731
    exact = dense(map_, z).square().sum() / z.numel()
    found = jacobian_penalty(map_, z, probes=4000, generator=generator)
    assert found.item() == pytest.approx(exact.item(), rel=0.03)


def test_penalty_teaches_what_the_map_reads(generator: torch.Generator) -> None:
    scale = torch.tensor(2.0, requires_grad=True)
    z = torch.randn(4, 3, generator=generator)
    penalty = jacobian_penalty(lambda z: scale * z, z, generator=generator)
    (gradient,) = torch.autograd.grad(penalty, scale)
    assert gradient.item() == pytest.approx(penalty.item(), rel=1e-5)  # d(s^2 c)/ds at s = 2
    pair = jacobian_penalty(lambda s: (scale * s[1], s[0]), (z, z), generator=generator)
    assert pair.requires_grad


def test_radius_of_real_and_of_complex_eigenvalues(generator: torch.Generator) -> None:
    turn = torch.tensor([[0.3, -0.9], [0.9, 0.3]], dtype=torch.float64)
    base = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=generator))[0]
    for block in (turn, torch.diag(torch.tensor([-0.95, 0.2], dtype=torch.float64))):
        matrix = torch.block_diag(block, 0.5 * torch.eye(4, dtype=torch.float64))
        matrix[0, 3] = 2.0  # not normal
        matrix = base @ matrix @ base.T
        z = torch.zeros(2, 6, dtype=torch.float64)
        found = spectral_radius(lambda z, m=matrix: z @ m.T, z, generator=generator)
        exact = torch.linalg.eigvals(matrix).abs().max()
        assert torch.allclose(found, exact.expand(2), rtol=1e-6)


def test_radius_is_of_each_sample(generator: torch.Generator) -> None:
    rates = torch.tensor([[0.5], [2.0], [0.0]])
    found = spectral_radius(lambda z: rates * z, torch.ones(3, 4), generator=generator)
    assert torch.allclose(found, rates[:, 0], atol=1e-5)


def test_bad_settings() -> None:
    z = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="probes is 0"):
        jacobian_penalty(torch.cos, z, probes=0)
    with pytest.raises(ValueError, match="iterations is 0"):
        spectral_radius(torch.cos, z, iterations=0)
    with pytest.raises(ValueError, match="must keep them"):
        jacobian_penalty(lambda z: z[:, :1], z)
