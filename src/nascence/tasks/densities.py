"""Points in the plane from densities of known form, for tasks that estimate a density."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from nascence.params import Params
from nascence.task import Draw
from nascence.tasks.ranges import log_uniform

Density = Literal["mixture", "ring", "spiral", "moons"]
DENSITIES: tuple[Density, ...] = get_args(Density)
CENTRES = 8


def sample_density(*, generator: torch.Generator) -> Params:
    """Constants of a density.

    ``centres`` ``(8, 2)`` of a mixture; ``spread`` ``()``, the deviation around centre or line,
    0.05 to 0.5; ``stretch`` ``(2, 2)``, the linear map that comes last.
    """
    return {
        "centres": torch.randn(CENTRES, 2, generator=generator),
        "spread": torch.tensor(log_uniform(0.05, 0.5, generator=generator)),
        "stretch": torch.eye(2) + 0.5 * torch.randn(2, 2, generator=generator),
    }


def draw_points(count: int, size: int, *, generator: torch.Generator) -> Draw:
    """The random part of points: uniform ``(count, size)`` and normal ``(count, size, 2)``."""
    uniform = torch.rand(count, size, generator=generator)
    return uniform, torch.randn(count, size, 2, generator=generator)


def points(constants: Params, density: Density, uniform: Tensor, normal: Tensor) -> Tensor:
    """Points ``(B, 2)`` for what `draw_points` gave; the lines are of about unit size."""
    if density == "mixture":
        line = constants["centres"][(uniform * CENTRES).long()]
    elif density == "ring":
        line = _around(2 * math.pi * uniform)
    elif density == "spiral":
        # The root makes the points about as dense at every radius.
        angle = 3 * math.pi * uniform.sqrt()
        line = _around(angle) * (angle / (2 * math.pi))[:, None]
    else:
        upper = uniform < 0.5
        arc = _around(2 * math.pi * uniform)
        shift = torch.tensor([0.5, 0.25], device=uniform.device)
        line = arc + torch.where(upper[:, None], -shift, shift)
    return (line + constants["spread"] * normal) @ constants["stretch"]


def _around(angle: Tensor) -> Tensor:
    return torch.stack([torch.cos(angle), torch.sin(angle)], -1)
