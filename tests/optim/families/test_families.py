"""What every family of tasks must do."""

import pytest
import torch
from torch.func import grad, vmap

from nascence.optim.families import Quadratics, Yardstick
from nascence.task import TASK_SPLITS, TaskFamily, stacks

FAMILIES: dict[str, TaskFamily] = {"quadratics": Quadratics(), "yardstick": Yardstick()}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> TaskFamily:
    return FAMILIES[request.param]


def test_task_k_is_the_same_whatever_was_asked_before(family: TaskFamily) -> None:
    first = family.task(7)
    family.task(3)
    again = type(family)().task(7)
    assert first.name == again.name
    assert first.problem == again.problem
    for name, value in first.constants.items():
        assert torch.equal(value, again.constants[name])


def test_tasks_stack_and_differentiate(family: TaskFamily, generator: torch.Generator) -> None:
    for stack in stacks(family.task(index) for index in range(8)):
        params = stack.init(generator=generator)
        for split in TASK_SPLITS:
            batch = stack.batch(split, generator=generator)
            assert torch.isfinite(stack.loss(params, batch)).all()
        gradients = vmap(grad(stack.problem.loss, argnums=1))(stack.constants, params, batch)
        assert {k: v.shape for k, v in gradients.items()} == {k: v.shape for k, v in params.items()}


def test_names_are_unique_and_numbers_bounded(family: TaskFamily) -> None:
    assert len({family.task(index).name for index in range(20)}) == 20
    with pytest.raises(IndexError, match=str(len(family) - 1)):
        family.task(len(family))
