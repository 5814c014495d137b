"""What every optimizer of the package must do."""

import pytest
import torch

from nascence.optim import LearnedOptimizer, create
from nascence.optim.checkpoint import ARCHITECTURES
from nascence.params import Params


@pytest.fixture(params=ARCHITECTURES)
def optimizer(request: pytest.FixtureRequest) -> LearnedOptimizer:
    return create(request.param)


SHAPES = {"matrix": (6, 5), "kernel": (4, 2, 3, 3), "vector": (7,), "scalar": ()}


def random(generator: torch.Generator, *leading: int) -> Params:
    return {
        name: torch.randn((*leading, *shape), generator=generator) for name, shape in SHAPES.items()
    }


def test_update_is_pure(optimizer: LearnedOptimizer, generator: torch.Generator) -> None:
    params, grads = random(generator), random(generator)
    state = optimizer.init(params)
    held = torch.utils._pytree.tree_map(torch.clone, (params, grads, state))
    first = optimizer.update(grads, state, params, loss=torch.tensor(1.0))
    second = optimizer.update(grads, state, params, loss=torch.tensor(1.0))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close((params, grads, state), held, rtol=0, atol=0)


def test_what_has_no_gradient_stays(
    optimizer: LearnedOptimizer, generator: torch.Generator
) -> None:
    params, grads = random(generator), random(generator)
    state = optimizer.init(params)
    del grads["kernel"]
    updates, following = optimizer.update(grads, state, params)
    assert updates.keys() == grads.keys()
    torch.testing.assert_close(following["tensors"]["kernel"], state["tensors"]["kernel"])


@torch.no_grad()
def test_stacked_is_one_by_one(optimizer: LearnedOptimizer, generator: torch.Generator) -> None:
    count = 3
    theta = {
        name: value + 0.03 * torch.randn(count, *value.shape, generator=generator)
        for name, value in optimizer.named_parameters()
    }
    params = random(generator, count)
    steps = torch.tensor([10.0, torch.inf, 3.0])
    stacked = optimizer.init_stacked(params, num_steps=steps)
    single = [
        optimizer.init({n: v[k] for n, v in params.items()}, num_steps=steps[k])
        for k in range(count)
    ]
    for _ in range(3):
        grads = random(generator, count)
        loss = torch.rand(count, generator=generator)
        updates, stacked = optimizer.update_stacked(theta, grads, stacked, params, loss=loss)
        for k in range(count):
            one, single[k] = torch.func.functional_call(
                optimizer,
                {n: v[k] for n, v in theta.items()},
                ({n: v[k] for n, v in grads.items()}, single[k]),
                {"params": {n: v[k] for n, v in params.items()}, "loss": loss[k]},
            )
            for name, update in one.items():
                torch.testing.assert_close(updates[name][k], update, rtol=1e-4, atol=1e-7)


@torch.no_grad()
def test_in_place_is_the_same_step(optimizer: LearnedOptimizer, generator: torch.Generator) -> None:
    params = random(generator)
    held = {name: value.clone() for name, value in params.items()}
    state = optimizer.init(params, num_steps=20)
    mine = torch.utils._pytree.tree_map(torch.clone, state)
    rates = dict.fromkeys(params, 0.5)
    for _ in range(5):
        grads, loss = random(generator), torch.rand((), generator=generator)
        updates, state = optimizer.update(grads, state, held, loss=loss)
        held = {name: value + 0.5 * updates[name] for name, value in held.items()}
        optimizer.step_(grads, mine, params, rates=rates, loss=loss)
    torch.testing.assert_close(params, held, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(mine, state, rtol=1e-4, atol=1e-5)


def test_settings_make_another_of_the_same_form(optimizer: LearnedOptimizer) -> None:
    again = type(optimizer)(**optimizer.settings)
    assert [v.shape for v in again.parameters()] == [v.shape for v in optimizer.parameters()]
