"""Points lie where their densities say."""

import math

import pytest
import torch

from nascence.params import Params
from nascence.tasks.densities import (
    DENSITIES,
    Density,
    draw_points,
    points,
    sample_density,
)


@pytest.fixture
def still(generator: torch.Generator) -> Params:
    """Constants without spread and stretch, so that points are on their lines."""
    drawn = sample_density(generator=generator)
    return drawn | {"spread": torch.tensor(0.0), "stretch": torch.eye(2)}


def drawn_points(constants: Params, density: Density, generator: torch.Generator) -> torch.Tensor:
    uniform, normal = draw_points(1, 400, generator=generator)
    return points(constants, density, uniform[0], normal[0])


def test_points_are_on_their_lines(still: Params, generator: torch.Generator) -> None:
    ring = drawn_points(still, "ring", generator)
    torch.testing.assert_close(ring.norm(dim=1), torch.ones(400))
    mixture = drawn_points(still, "mixture", generator)
    away = (mixture[:, None] - still["centres"]).norm(dim=2)  # cdist rounds by its products
    assert away.min(1).values.max() < 1e-6
    spiral = drawn_points(still, "spiral", generator)
    turned = torch.atan2(spiral[:, 1], spiral[:, 0]) - 2 * math.pi * spiral.norm(dim=1)
    assert (torch.cos(turned) - 1).abs().max() < 1e-4
    assert spiral.norm(dim=1).max() <= 1.5
    moons = drawn_points(still, "moons", generator)
    upper, lower = (moons + torch.tensor([0.5, 0.25]), moons - torch.tensor([0.5, 0.25]))
    on_upper = ((upper.norm(dim=1) - 1).abs() < 1e-5) & (upper[:, 1] > -1e-5)
    on_lower = ((lower.norm(dim=1) - 1).abs() < 1e-5) & (lower[:, 1] < 1e-5)
    assert (on_upper | on_lower).all()
    assert 140 < int(on_upper.sum()) < 260


@pytest.mark.parametrize("density", DENSITIES)
def test_spread_and_stretch(density: Density, still: Params) -> None:
    uniform, normal = draw_points(1, 300, generator=torch.Generator().manual_seed(1))
    line = points(still, density, uniform[0], normal[0])
    constants = sample_density(generator=torch.Generator().manual_seed(2))
    constants["centres"] = still["centres"]
    found = points(constants, density, uniform[0], normal[0])
    known = (line + constants["spread"] * normal[0]) @ constants["stretch"]
    torch.testing.assert_close(found, known)
