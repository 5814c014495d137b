"""Anderson acceleration: evaluations on a convolutional cell, scale, the small systems."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.implicit import anderson, fixed_point, spectral_radius
from nascence.implicit.anderson import solve_definite


class Cell(nn.Module):
    """48 channels; with this seed and factor the spectral radius is 0.82."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(48, 64, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(64, 48, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.GroupNorm(8, 64), nn.GroupNorm(8, 48)
        self.norm3 = nn.GroupNorm(8, 48)
        for conv, deviation in ((self.conv1, 0.01), (self.conv2, 0.01 * FACTOR)):
            nn.init.normal_(conv.weight, 0, deviation)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        y = self.norm1(F.relu(self.conv1(z)))
        return self.norm3(F.relu(z + self.norm2(x + self.conv2(y))))


FACTOR = 1.0519


def test_at_most_22_evaluations_to_1e_5_on_the_convolutional_cell() -> None:
    torch.manual_seed(0)
    cell = Cell()
    x = torch.randn(16, 48, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = fixed_point(lambda z: cell(z, x), torch.zeros_like(x), tol=1e-5)
    assert found.converged.all()
    assert found.evaluations <= 22
    z = found.state[:1]
    radius = spectral_radius(
        lambda z: cell(z, x[:1]), z, iterations=40, generator=torch.Generator().manual_seed(0)
    )
    assert radius.item() == pytest.approx(0.82, abs=0.03)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_ridge_follows_the_scale(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(8, 8, dtype=torch.float64, generator=generator)
    matrix *= 0.9 / torch.linalg.eigvals(matrix).abs().max()
    shift = scale * torch.randn(2, 8, dtype=torch.float64, generator=generator)
    solve = partial(anderson, lambda z: z @ matrix + shift, torch.zeros_like(shift))
    counts = solve(tol=1e-7, max_iter=60).evaluations
    plain = anderson(
        lambda z: z @ matrix + shift / scale, torch.zeros_like(shift), tol=1e-7, max_iter=60
    )
    assert counts == plain.evaluations


def test_gauss_jordan_solves_definite_systems(generator: torch.Generator) -> None:
    roots = torch.randn(5, 6, 6, dtype=torch.float64, generator=generator)
    matrix = roots @ roots.mT + 0.1 * torch.eye(6, dtype=torch.float64)
    right = torch.randn(5, 6, dtype=torch.float64, generator=generator)
    assert torch.allclose(solve_definite(matrix, right), torch.linalg.solve(matrix, right))


def test_a_single_evaluation_returns_the_start() -> None:
    found = anderson(torch.cos, torch.zeros(1, 1), tol=1e-3, max_iter=1)
    assert (found.state.item(), found.evaluations) == (0.0, 1)
    two = anderson(torch.cos, torch.zeros(1, 1), tol=1e-3, max_iter=2)
    assert two.state.item() == 1.0
