"""Functions of two variables with a known minimum, with noise, rotated and scaled."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nascence.params import Params
from nascence.task import Draw, TaskSplit
from nascence.tasks.numbered import NumberedFamily, NumberedProblem
from nascence.tasks.ranges import happens, log_uniform, uniform


class Landscape(NamedTuple):
    """A function of x and y, its minimiser, its minimum, and half the width of its box.

    ``shape`` is a factor of some functions, log-uniform between the two bounds: the condition of
    the bowl, the steepness of Rosenbrock's valley.
    """

    value: Callable[[Tensor, Tensor, Tensor], Tensor]
    least_at: tuple[float, float]
    least: float
    box: float
    shape: tuple[float, float] = (1.0, 1.0)


def _ackley(x: Tensor, y: Tensor, shape: Tensor) -> Tensor:
    # The tiny term keeps the gradient finite in the middle, where the root has none.
    radius = torch.sqrt(0.5 * (x**2 + y**2) + 1e-14)
    waves = 0.5 * (torch.cos(2 * torch.pi * x) + torch.cos(2 * torch.pi * y))
    return -20 * torch.exp(-0.2 * radius) - torch.exp(waves) + math.e + 20


def _beale(x: Tensor, y: Tensor, shape: Tensor) -> Tensor:
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _goldstein_price(x: Tensor, y: Tensor, shape: Tensor) -> Tensor:
    first = 19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2
    second = 18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2
    return torch.log((1 + (x + y + 1) ** 2 * first) * (30 + (2 * x - 3 * y) ** 2 * second))


def _levy(x: Tensor, y: Tensor, shape: Tensor) -> Tensor:
    along = (x - 1) ** 2 * (1 + torch.sin(3 * torch.pi * y) ** 2)
    across = (y - 1) ** 2 * (1 + torch.sin(2 * torch.pi * y) ** 2)
    return torch.sin(3 * torch.pi * x) ** 2 + along + across


def _rastrigin(x: Tensor, y: Tensor, shape: Tensor) -> Tensor:
    waves = torch.cos(2 * torch.pi * x) + torch.cos(2 * torch.pi * y)
    return 20 + x**2 + y**2 - 10 * waves


# Forms and least values as in Jamil and Yang (2013), "A literature survey of benchmark functions";
# that of Goldstein and Price is taken as its logarithm, as it spans six orders of magnitude.
LANDSCAPES: dict[str, Landscape] = {
    "bowl": Landscape(lambda x, y, k: 0.5 * (x**2 + k * y**2), (0, 0), 0.0, 3, (1, 1000)),
    "rosenbrock": Landscape(
        lambda x, y, k: (1 - x) ** 2 + k * (y - x**2) ** 2, (1, 1), 0.0, 2, (1, 100)
    ),
    "ackley": Landscape(_ackley, (0, 0), 0.0, 5),
    "beale": Landscape(_beale, (3, 0.5), 0.0, 3),
    "styblinski_tang": Landscape(
        lambda x, y, k: 0.5 * (x**4 - 16 * x**2 + 5 * x + y**4 - 16 * y**2 + 5 * y),
        (-2.903534, -2.903534),
        -78.332331,
        5,
    ),
    "himmelblau": Landscape(
        lambda x, y, k: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2, (3, 2), 0.0, 5
    ),
    "booth": Landscape(lambda x, y, k: (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2, (1, 3), 0.0, 5),
    "matyas": Landscape(lambda x, y, k: 0.26 * (x**2 + y**2) - 0.48 * x * y, (0, 0), 0.0, 5),
    "three_hump_camel": Landscape(
        lambda x, y, k: 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2, (0, 0), 0.0, 3
    ),
    "six_hump_camel": Landscape(
        lambda x, y, k: (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2,
        (0.089842, -0.712656),
        -1.031628,
        2,
    ),
    "levy": Landscape(_levy, (1, 1), 0.0, 5),
    "rastrigin": Landscape(_rastrigin, (0, 0), 0.0, 5),
    "mccormick": Landscape(
        lambda x, y, k: (
            torch.sin(x + y)
            + (x - y) ** 2
            - 1.5 * x
            + 2.5 * y
            + 1
            + torch.relu(torch.abs(x - 1.25) - 2.75) ** 2
            + torch.relu(torch.abs(y - 0.5) - 3.5) ** 2
        ),
        (-0.547198, -1.547198),
        -1.913223,
        3,
    ),
    "goldstein_price": Landscape(_goldstein_price, (0, -1), math.log(3), 2),
}


@dataclass(frozen=True)
class Function(NumberedProblem):
    """``scale (f(R p + c) - least + noise nᵀ p)`` for one of `LANDSCAPES`, with n standard normal.

    The parameter ``x`` is p ``(2,)``, R a turn times ``1 / unit``. Constants: ``turn`` ``(2, 2)``,
    ``centre`` ``(2,)``, ``scale`` (0.01 to 100), ``noise``, ``shape`` ``()``. Only training batches
    have noise, half of the tasks. Starts are uniform in the box of the function.
    """

    name: str

    @property
    def cost(self) -> int:
        """Multiply-adds of a step."""
        return 3 * 4

    def sample(self, *, generator: torch.Generator) -> Params:
        """Draw the constants of a random task."""
        landscape = LANDSCAPES[self.name]
        angle = uniform(0, 2 * math.pi, generator=generator)
        unit = log_uniform(0.1, 10.0, generator=generator)
        turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        noise = log_uniform(0.01, 1.0, generator=generator)
        noisy = happens(0.5, generator=generator)
        return {
            "turn": torch.tensor(turn) / unit,
            "centre": landscape.box * torch.randn(2, generator=generator),
            "scale": torch.tensor(log_uniform(0.01, 100.0, generator=generator)),
            "noise": torch.tensor(noise / unit if noisy else 0.0),
            "shape": torch.tensor(log_uniform(*landscape.shape, generator=generator)),
        }

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        place = LANDSCAPES[self.name].box * (2 * torch.rand(2, generator=generator) - 1)
        return {"x": torch.linalg.solve(constants["turn"], place - constants["centre"])}

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """Draw the random part of ``count`` batches, ``(count, ...)`` each."""
        normal = torch.randn(count, 2, generator=generator)
        return (normal if split == "train" else torch.zeros_like(normal),)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        landscape = LANDSCAPES[self.name]
        place = constants["turn"] @ params["x"] + constants["centre"]
        value = landscape.value(place[0], place[1], constants["shape"]) - landscape.least
        noise = constants["noise"] * (draw[0] * params["x"]).sum()
        return constants["scale"] * (value + noise)


def function() -> NumberedFamily:
    """Bowls, Rosenbrock's valley and other functions of the plane on which optimizers are tried."""
    return NumberedFamily("function", tuple(Function(name) for name in LANDSCAPES), 840)
