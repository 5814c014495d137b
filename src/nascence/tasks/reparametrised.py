"""Reparametrisation: the same tasks, with parameters in other units.

The optimizer sees every parameter multiplied by a constant, and the task divides by it again, so
that losses stay and gradients change (Metz et al. 2020, 2022). One that is meta-trained on such
tasks cannot rely on weights and gradients of the usual size.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nascence.core.randomness import stream
from nascence.params import Params
from nascence.task import Draw, Task, TaskSplit
from nascence.tasks.numbered import CostedFamily, CostedProblem
from nascence.tasks.ranges import log_uniform

Units = Literal["task", "tensor"]


@dataclass(frozen=True)
class Reparametrised(CostedProblem):
    """A problem whose parameters are multiplied by the constant ``parameter_units``.

    It has one number for each tensor, ``(tensors,)``, in the order of their names.
    """

    inner: CostedProblem

    @property
    def cost(self) -> int:
        """Multiply-adds of a step, those of the inner problem."""
        return self.inner.cost

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        params = self.inner.init(constants, generator=generator)
        units = _by_name(params, constants)
        return {name: value * units[name] for name, value in params.items()}

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """Draw the random part of ``count`` batches, ``(count, ...)`` each."""
        return self.inner.draw(count, split, generator=generator)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        units = _by_name(params, constants)
        plain = {name: value / units[name] for name, value in params.items()}
        return self.inner.loss(constants, plain, draw)


def _by_name(params: Params, constants: Params) -> Params:
    return dict(zip(sorted(params), constants["parameter_units"].unbind(), strict=True))


@dataclass(frozen=True)
class ReparametrisedFamily:
    """The tasks of a family, each with constants between ``1 / largest`` and ``largest``.

    ``units`` "task" draws one constant for a task, "tensor" one for each of its tensors.
    """

    family: CostedFamily
    units: Units = "task"
    largest: float = 1000.0

    @property
    def name(self) -> str:
        """The name of the family, followed by ``:units`` or ``:units-of-tensors``."""
        return f"{self.family.name}:{SUFFIXES[self.units]}"

    @property
    def cost(self) -> int:
        """Multiply-adds of a step of the most costly problem."""
        return self.family.cost

    def __len__(self) -> int:
        return len(self.family)

    def task(self, index: int) -> Task:
        """Task ``index``; raises IndexError outside the family."""
        inner = self.family.task(index)
        problem = inner.problem
        assert isinstance(problem, CostedProblem)  # the family is a costed one
        generator = stream(self.name, index)
        tensors = len(inner.init(generator=generator))
        low, high = 1 / self.largest, self.largest
        drawn = [
            log_uniform(low, high, generator=generator)
            for _ in range(1 if self.units == "task" else tensors)
        ]
        units = torch.tensor(drawn * (tensors if self.units == "task" else 1))
        constants = inner.constants | {"parameter_units": units}
        return Task(f"{self.name}/{index}", Reparametrised(problem), constants)


SUFFIXES: dict[Units, str] = {"task": "units", "tensor": "units-of-tensors"}
