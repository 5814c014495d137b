"""What every family of tasks must do."""

from functools import partial

import pytest
import torch
from torch.func import grad, vmap
from torch.utils.flop_counter import FlopCounterMode

from nascence.params import Params
from nascence.task import TASK_SPLITS, Stack, Task, TaskFamily, stacks
from nascence.tasks import FAMILIES, family

# What costs much is shown on the small families of the same problems.
SMALL = [name for name in FAMILIES if not name.endswith("-wide")]


@pytest.fixture(params=FAMILIES)
def tasks(request: pytest.FixtureRequest) -> TaskFamily:
    return family(request.param)


def one_of_each(family: TaskFamily) -> list[Task]:
    """A task of every problem of a family."""
    return list({(task := family.task(k)).problem: task for k in range(20)}.values())


def test_task_k_is_the_same_whatever_was_asked_before(tasks: TaskFamily) -> None:
    first = tasks.task(7)
    tasks.task(3)
    again = family(tasks.name).task(7)
    assert first.name == again.name == f"{tasks.name}/7"
    assert first.problem == again.problem
    for name, value in first.constants.items():
        assert torch.equal(value, again.constants[name])


def test_a_stack_is_its_tasks_one_by_one(tasks: TaskFamily, generator: torch.Generator) -> None:
    """Losses of every split and gradients of vmap are those of a loop, and finite."""
    for stack in stacks(tasks.task(index) for index in range(20)):
        params = stack.init(generator=generator)
        for split in TASK_SPLITS:
            batch = stack.batch(split, generator=generator)
            losses = stack.loss(params, batch)
            assert torch.isfinite(losses).all()
        gradients = vmap(grad(stack.problem.loss, argnums=1))(stack.constants, params, batch)
        assert {k: v.shape for k, v in gradients.items()} == {k: v.shape for k, v in params.items()}
        last = len(stack) - 1
        alone = Task("one", stack.problem, stack.constants_of(last))
        own = {name: value[last] for name, value in params.items()}
        drawn = tuple(part[last] for part in batch)
        torch.testing.assert_close(losses[last], alone.loss(own, drawn))
        for name, value in grad(alone.loss)(own, drawn).items():
            scale = value.abs().max().item() + 1e-6
            torch.testing.assert_close(gradients[name][last], value, rtol=1e-3, atol=1e-4 * scale)


def doubled(values: Params) -> Params:
    return {
        name: value.double() if value.is_floating_point() else value
        for name, value in values.items()
    }


@pytest.mark.parametrize("name", [name for name in SMALL if name != "yardstick"])
def test_gradients_are_finite_differences(name: str, generator: torch.Generator) -> None:
    """In double precision, along a random direction, of a task of every problem."""
    for task in one_of_each(family(name)):
        constants, params = doubled(task.constants), doubled(task.init(generator=generator))
        batch = task.batch("train", generator=generator)
        draw = tuple(part.double() if part.is_floating_point() else part for part in batch)
        loss = partial(task.problem.loss, constants)
        way, aside = (
            {
                name: torch.randn(value.shape, generator=generator) * (value.abs().mean() + 0.1)
                for name, value in params.items()
            }
            for _ in range(2)
        )
        # With biases of zero, units behind ones that are all off stand on the corner of their relu.
        params = {name: value + 0.1 * aside[name] for name, value in params.items()}
        slopes = grad(loss)(params, draw)
        slope = sum(float((slopes[name] * way[name]).sum()) for name in params)
        ahead, behind = (
            loss({name: value + step * way[name] for name, value in params.items()}, draw).item()
            for step in (1e-8, -1e-8)
        )
        assert abs((ahead - behind) / 2e-8 - slope) < 1e-4 * abs(slope) + 1e-5 * abs(ahead)


def test_the_cost_is_what_torch_counts(tasks: TaskFamily, generator: torch.Generator) -> None:
    for task in one_of_each(tasks):
        if tasks.name in ("function", "quadratic", "quadratic-wide", "least-squares"):
            continue  # which have no products of matrices that it counts
        params = task.init(generator=generator)
        batch = task.batch("train", generator=generator)
        with FlopCounterMode(display=False) as counter:
            task.loss(params, batch)
        assert task.problem.cost == 3 * counter.get_total_flops() // 2  # type: ignore[attr-defined]


def test_names_are_unique_and_numbers_bounded(tasks: TaskFamily) -> None:
    assert len({tasks.task(index).name for index in range(20)}) == 20
    for index in (-1, len(tasks)):
        with pytest.raises(IndexError, match=str(len(tasks) - 1)):
            tasks.task(index)


@pytest.mark.parametrize("name", SMALL)
def test_training_reduces_the_loss(name: str, generator: torch.Generator) -> None:
    """Twenty steps of Adam from a mild start improve the mean over a family's problems."""
    from nascence.optim import Adam
    from nascence.optim.compare.rollout import rollout

    better = []
    for task in one_of_each(family(name))[:6]:
        stack = Stack.of([task])
        done = rollout(Adam(0.02), stack, steps=20, generator=generator, split="train")
        better.append(bool(done.final < done.first))
    assert sum(better) >= 0.7 * len(better)
