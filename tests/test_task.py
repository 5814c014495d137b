"""Stacks of tasks against the tasks one by one."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from nascence.core.randomness import derived_seed
from nascence.params import Params
from nascence.task import TASK_SPLITS, Draw, Problem, Stack, Task, TaskSplit, stacks


@dataclass(frozen=True)
class Line(Problem):
    """``mean((x a - a slope)²)`` over a batch of a."""

    size: int = 3

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        return {"x": torch.randn((), generator=generator)}

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        return (torch.randn(count, self.size, generator=generator),)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        return (draw[0] * (params["x"] - constants["slope"])).square().mean()


def line(slope: float, size: int = 3) -> Task:
    return Task(f"line/{slope}", Line(size), {"slope": torch.tensor(slope)})


def test_a_stack_has_the_losses_of_its_tasks(generator: torch.Generator) -> None:
    tasks = [line(1.0), line(2.0)]
    stack = Stack.of(tasks)
    params = stack.init(generator=generator)
    batch = stack.batch("train", generator=generator)
    each = [task.loss({"x": params["x"][k]}, (batch[0][k],)) for k, task in enumerate(tasks)]
    torch.testing.assert_close(stack.loss(params, batch), torch.stack(each))


def test_tasks_are_grouped_by_equal_problems() -> None:
    found = stacks([line(1.0), line(2.0, size=4), line(3.0)])
    assert [stack.names for stack in found] == [("line/1.0", "line/3.0"), ("line/2.0",)]


@pytest.mark.parametrize("split", TASK_SPLITS)
def test_a_batch_of_a_task_is_of_the_generator(split: TaskSplit) -> None:
    batches = [
        line(1.0).batch(split, generator=torch.Generator().manual_seed(1))[0] for _ in range(2)
    ]
    assert torch.equal(batches[0], batches[1])
    assert batches[0].shape == (3,)


def test_what_cannot_be_stacked_is_refused() -> None:
    with pytest.raises(ValueError, match=r"line/2\.0 does not belong to the problem of line/1.0"):
        Stack.of([line(1.0), line(2.0, size=4)])
    with pytest.raises(ValueError, match="at least one"):
        Stack.of([])


def test_an_unknown_split_is_refused(generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="train, inner-valid, outer-valid, test"):
        line(1.0).batch("valid", generator=generator)  # type: ignore[arg-type]


def test_seeds_are_of_name_and_index_alone() -> None:
    assert derived_seed("quadratic", 3) == 5850361541884645785
    assert len({derived_seed(name, k) for name in ("a", "b") for k in range(100)}) == 200
