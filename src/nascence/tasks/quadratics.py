"""Quadratics: the family whose gradients, and meta-gradients, are known in closed form."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nascence.params import Params
from nascence.task import Draw, TaskSplit
from nascence.tasks.numbered import NumberedFamily, NumberedProblem

SIZES = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Quadratic(NumberedProblem):
    """``scale (½ (x - c)ᵀ A (x - c) + noise nᵀ (x - c))``, with n standard normal.

    Constants: ``matrix`` ``(size, size)``, ``centre`` ``(size,)``, ``scale``, ``noise`` and
    ``init_scale`` ``()``. Only training batches have noise.
    """

    size: int

    @property
    def cost(self) -> int:
        """Multiply-adds of a step: three times those of the loss."""
        return 3 * self.size * (self.size + 2)

    def sample(self, *, generator: torch.Generator) -> Params:
        """Draw the constants of a random task."""
        condition, scale, init, noisy, noise = torch.rand(5, generator=generator).tolist()
        spectrum = 10 ** (-3 * condition * torch.rand(self.size, generator=generator))
        normal = torch.randn(self.size, self.size, generator=generator)
        basis = torch.linalg.qr(normal)[0]
        init_scale = 10 ** (2 * init - 1)
        return {
            "matrix": (basis * spectrum) @ basis.T,
            "centre": torch.randn(self.size, generator=generator) * init_scale,
            "scale": torch.tensor(10 ** (4 * scale - 2)),
            "noise": torch.tensor(10 ** (2 * noise - 2) * init_scale if noisy < 0.5 else 0.0),
            "init_scale": torch.tensor(init_scale),
        }

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        return {"x": torch.randn(self.size, generator=generator) * constants["init_scale"]}

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """Draw the random part of ``count`` batches, ``(count, ...)`` each."""
        normal = torch.randn(count, self.size, generator=generator)
        return (normal if split == "train" else torch.zeros_like(normal),)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        offset = params["x"] - constants["centre"]
        curved = 0.5 * torch.dot(offset, constants["matrix"] @ offset)
        return constants["scale"] * (curved + constants["noise"] * torch.dot(draw[0], offset))


@dataclass(frozen=True)
class Quadratics(NumberedFamily):
    """Rotated quadratics with spectra up to a condition number of 1,000 (Metz et al. 2020)."""

    name: str = "quadratic"
    problems: tuple[NumberedProblem, ...] = tuple(Quadratic(size) for size in SIZES)
    count: int = 1200


def wide_quadratics() -> NumberedFamily:
    """Quadratics of 128 to 512 dimensions; only a few, because a matrix takes up to a megabyte."""
    return NumberedFamily("quadratic-wide", tuple(map(Quadratic, (128, 256, 512))), 60)
