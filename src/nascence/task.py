"""Tasks: problems to optimise, as pure functions that can be stacked and run in one vmap.

A `Problem` is what many tasks share: shapes, data, the form of the loss. A `Task` adds the
tensors that make it this one: the scale of its initial values, its subset of the data, its
matrix. Tasks of one problem are stacked, so that thousands of them are optimised at once.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor
from torch.func import vmap

from nascence.params import Params

TaskSplit = Literal["train", "inner-valid", "outer-valid", "test"]
TASK_SPLITS: tuple[TaskSplit, ...] = get_args(TaskSplit)
Draw = tuple[Tensor, ...]


class Problem(ABC):
    """The part that tasks of equal shapes share. Two problems stack if they compare equal.

    `loss` must work under ``torch.func.vmap`` over all three arguments and under
    ``torch.func.grad``: no buffers, no data-dependent control flow, no random numbers.
    """

    @abstractmethod
    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Initial parameters of the task with these constants."""

    @abstractmethod
    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """The random part of ``count`` batches: tensors ``(count, ...)``, such as row numbers.

        It does not depend on the constants of a task; what does (its subset of the rows, the
        scale of its noise) is applied in `loss`.
        """

    @abstractmethod
    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """The loss, a tensor ``()``, on one batch: ``draw`` without its leading axis."""


@dataclass(frozen=True, eq=False)
class Task:
    """One problem to optimise, the same wherever it is made.

    Attributes:
        name: Unique over all families, such as ``mlp/17``.
        problem: What it shares with the tasks it can be stacked with.
        constants: Tensors that make it this task; of equal shapes over the tasks of a problem.
    """

    name: str
    problem: Problem
    constants: Params

    def init(self, *, generator: torch.Generator) -> Params:
        """Random initial parameters."""
        return self.problem.init(self.constants, generator=generator)

    def batch(self, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """A random batch of one of the splits train, inner-valid, outer-valid and test.

        Raises ValueError for another split.
        """
        _check_split(split)
        return tuple(part[0] for part in self.problem.draw(1, split, generator=generator))

    def loss(self, params: Params, batch: Draw) -> Tensor:
        """The loss ``()`` of the parameters on a batch."""
        return self.problem.loss(self.constants, params, batch)


class TaskFamily(Protocol):
    """Numbered tasks: task k is the same everywhere and whatever was asked for before."""

    @property
    def name(self) -> str:
        """What tells the family from all others."""
        ...

    def __len__(self) -> int: ...

    def task(self, index: int) -> Task:
        """Task ``index``; raises IndexError outside ``0 ... len - 1``."""
        ...


@dataclass(frozen=True, eq=False)
class Stack:
    """Tasks of one problem side by side: every tensor has a leading axis of the tasks."""

    names: tuple[str, ...]
    problem: Problem
    constants: Params

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> "Stack":
        """Stack tasks; raises ValueError if there are none or they are of several problems."""
        if not tasks:
            raise ValueError("no tasks were given; a stack needs at least one")
        first = tasks[0]
        for task in tasks:
            if task.problem != first.problem:
                raise ValueError(
                    f"{task.name} does not belong to the problem of {first.name}; "
                    "group tasks with nascence.task.stacks first"
                )
        constants = {
            name: torch.stack([task.constants[name] for task in tasks]) for name in first.constants
        }
        return cls(tuple(task.name for task in tasks), first.problem, constants)

    def __len__(self) -> int:
        return len(self.names)

    def constants_of(self, index: int) -> Params:
        """The constants of one task."""
        return {name: value[index] for name, value in self.constants.items()}

    def repeated(self, count: int) -> "Stack":
        """All tasks ``count`` times, one copy of the stack after the other."""
        constants = {name: torch.cat([value] * count) for name, value in self.constants.items()}
        return Stack(self.names * count, self.problem, constants)

    def init(self, *, generator: torch.Generator) -> Params:
        """Random initial parameters, ``(tasks, ...)`` each."""
        each = [
            self.problem.init(self.constants_of(index), generator=generator)
            for index in range(len(self))
        ]
        return {name: torch.stack([params[name] for params in each]) for name in each[0]}

    def batch(self, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """A batch for every task, ``(tasks, ...)`` each."""
        _check_split(split)
        return self.problem.draw(len(self), split, generator=generator)

    def loss(self, params: Params, batch: Draw) -> Tensor:
        """The loss of every task, ``(tasks,)``."""
        return vmap(self.problem.loss)(self.constants, params, batch)


def stacks(tasks: Iterable[Task]) -> list[Stack]:
    """Group tasks by problem, in the order in which the problems first appear."""
    groups: dict[Problem, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.problem, []).append(task)
    return [Stack.of(group) for group in groups.values()]


def training_tasks(length: int, held_out: float) -> int:
    """How many tasks of a family of ``length``, from the first on, meta-training may use."""
    return max(1, math.floor(length * (1 - held_out)))


def _check_split(split: str) -> None:
    if split not in TASK_SPLITS:
        raise ValueError(f"split is {split!r}; it must be one of {', '.join(TASK_SPLITS)}")
