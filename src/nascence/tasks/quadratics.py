"""Quadratics: the family whose gradients, and meta-gradients, are known in closed form."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nascence.core.randomness import stream
from nascence.params import Params
from nascence.task import Draw, Problem, Task, TaskSplit

SIZES = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Quadratic(Problem):
    """``scale (½ (x - c)ᵀ A (x - c) + noise nᵀ (x - c))``, with n standard normal.

    Constants: ``matrix`` ``(size, size)``, ``centre`` ``(size,)``, ``scale``, ``noise`` and
    ``init_scale`` ``()``. Only training batches have noise.
    """

    size: int

    @property
    def cost(self) -> int:
        """Multiply-adds of a step: three times those of the loss."""
        return 3 * self.size * (self.size + 2)

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        return {"x": torch.randn(self.size, generator=generator) * constants["init_scale"]}

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        normal = torch.randn(count, self.size, generator=generator)
        return (normal if split == "train" else torch.zeros_like(normal),)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        offset = params["x"] - constants["centre"]
        curved = 0.5 * torch.dot(offset, constants["matrix"] @ offset)
        return constants["scale"] * (curved + constants["noise"] * torch.dot(draw[0], offset))


@dataclass(frozen=True)
class Quadratics:
    """Rotated quadratics with spectra up to a condition number of 1,000 (Metz et al. 2020)."""

    count: int = 1200
    name: str = "quadratic"
    sizes: tuple[int, ...] = SIZES

    def __len__(self) -> int:
        return self.count

    @property
    def cost(self) -> int:
        """Multiply-adds of a step of the largest."""
        return max(Quadratic(size).cost for size in self.sizes)

    def task(self, index: int) -> Task:
        """Task ``index``; raises IndexError outside the family."""
        if not 0 <= index < self.count:
            raise IndexError(f"{self.name} has tasks 0 to {self.count - 1}, not {index}")
        generator = stream(self.name, index)
        size = self.sizes[index % len(self.sizes)]
        condition, scale, init, noisy, noise = torch.rand(5, generator=generator).tolist()
        spectrum = 10 ** (-3 * condition * torch.rand(size, generator=generator))
        basis = torch.linalg.qr(torch.randn(size, size, generator=generator))[0]
        init_scale = 10 ** (2 * init - 1)
        constants = {
            "matrix": (basis * spectrum) @ basis.T,
            "centre": torch.randn(size, generator=generator) * init_scale,
            "scale": torch.tensor(10 ** (4 * scale - 2)),
            "noise": torch.tensor(10 ** (2 * noise - 2) * init_scale if noisy < 0.5 else 0.0),
            "init_scale": torch.tensor(init_scale),
        }
        return Task(f"{self.name}/{index}", Quadratic(size), constants)


def wide_quadratics() -> Quadratics:
    """Quadratics of 128 to 512 dimensions; few, as a matrix takes up to a megabyte."""
    return Quadratics(60, "quadratic-wide", (128, 256, 512))
