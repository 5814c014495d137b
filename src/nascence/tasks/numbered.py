"""Families whose task k is problem ``k % problems`` with constants drawn from a seed of its own."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch

from nascence.core.randomness import stream
from nascence.params import Params
from nascence.task import Problem, Task, TaskFamily


class CostedFamily(TaskFamily, Protocol):
    """A family that knows what a step of its most costly task takes."""

    @property
    def cost(self) -> int:
        """Multiply-adds of matrix products in a step."""
        ...


class CostedProblem(Problem):
    """A problem that knows what a step costs."""

    @property
    @abstractmethod
    def cost(self) -> int:
        """Multiply-adds of matrix products in a step: three times those of the loss of a batch."""


class NumberedProblem(CostedProblem):
    """A problem that draws the constants of its tasks."""

    @abstractmethod
    def sample(self, *, generator: torch.Generator) -> Params:
        """The constants of a random task."""


@dataclass(frozen=True)
class NumberedFamily:
    """``count`` tasks that cycle through ``problems``.

    Task k follows from the name of the family and k alone, so that it is the same everywhere; tasks
    k, k + len(problems), ... can be stacked.
    """

    name: str
    problems: tuple[NumberedProblem, ...]
    count: int = 600

    def __len__(self) -> int:
        return self.count

    @property
    def cost(self) -> int:
        """Multiply-adds of a step of the most costly problem."""
        return max(problem.cost for problem in self.problems)

    def task(self, index: int) -> Task:
        """Task ``index``; raises IndexError outside the family."""
        if not 0 <= index < self.count:
            raise IndexError(f"{self.name} has tasks 0 to {self.count - 1}, not {index}")
        generator = stream(self.name, index)
        problem = self.problems[index % len(self.problems)]
        return Task(f"{self.name}/{index}", problem, problem.sample(generator=generator))
