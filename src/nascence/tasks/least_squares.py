"""Least squares with four kinds of spectra, a noisy matrix, or the logarithm of the error.

The quadratic tasks of TaskSet (Metz et al. 2020), in 2 to 64 dimensions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nascence.params import Params
from nascence.task import Draw, TaskSplit
from nascence.tasks.numbered import NumberedFamily, NumberedProblem
from nascence.tasks.ranges import choice, happens, log_uniform


def spectrum(form: int, size: int, condition: float, *, generator: torch.Generator) -> Tensor:
    """Eigenvalues ``(size,)`` between 1 / condition and 1.

    ``form`` 0 draws them uniformly, 1 log-uniformly, 2 spaces them evenly and 3 their logarithms.
    """
    places = torch.rand(size, generator=generator)
    if form >= 2:
        places = torch.linspace(0, 1, size)
    if form % 2:
        return condition**-places
    return 1 / condition + (1 - 1 / condition) * places


@dataclass(frozen=True)
class LeastSquares(NumberedProblem):
    """``scale f`` or ``scale log(1 + 1000 f)`` of ``f = ½ ‖(M + noise N / √size) (x - c)‖²``.

    N is standard normal, in training batches alone. Constants: ``root`` ``(size, size)``, the
    matrix M, whose squared singular values are a `spectrum` of condition 1 to 1,000; ``centre``
    ``(size,)``; ``scale``, 1e-5 to 1e3, ``noise``, zero for half of the tasks, and ``init_scale``
    ``()``.
    """

    size: int
    logarithm: bool = False

    @property
    def cost(self) -> int:
        """Multiply-adds of a step."""
        return 3 * self.size**2

    def sample(self, *, generator: torch.Generator) -> Params:
        """Draw the constants of a random task."""
        form = choice([1, 1, 1, 1], generator=generator)
        condition = log_uniform(1.0, 1000.0, generator=generator)
        values = spectrum(form, self.size, condition, generator=generator)
        left, right = (
            torch.linalg.qr(torch.randn(self.size, self.size, generator=generator))[0]
            for _ in range(2)
        )
        scale = log_uniform(1e-5, 1e3, generator=generator)
        noisy = happens(0.5, generator=generator)
        noise = log_uniform(0.01, 1.0, generator=generator)
        init_scale = log_uniform(0.1, 10.0, generator=generator)
        return {
            "root": left * values.sqrt() @ right,
            "centre": torch.randn(self.size, generator=generator) * init_scale,
            "scale": torch.tensor(scale),
            "noise": torch.tensor(noise if noisy else 0.0),
            "init_scale": torch.tensor(init_scale),
        }

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        return {"x": torch.randn(self.size, generator=generator) * constants["init_scale"]}

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """Draw the random part of ``count`` batches, ``(count, ...)`` each."""
        normal = torch.randn(count, self.size, self.size, generator=generator)
        return (normal if split == "train" else torch.zeros_like(normal),)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        matrix = constants["root"] + constants["noise"] / self.size**0.5 * draw[0]
        error = 0.5 * (matrix @ (params["x"] - constants["centre"])).square().sum()
        return constants["scale"] * (torch.log1p(1000 * error) if self.logarithm else error)


def least_squares() -> NumberedFamily:
    """Least squares in 2 to 64 dimensions, two in seven as logarithms."""
    problems = (
        *(LeastSquares(size) for size in (2, 4, 16, 32, 64)),
        *(LeastSquares(size, logarithm=True) for size in (8, 24)),
    )
    return NumberedFamily("least-squares", problems, 700)
