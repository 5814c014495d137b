"""Trajectories against those of torch's optimizers."""

from collections.abc import Callable

import pytest
import torch

from nascence.optim import SGD, Adam, AdamW, LearnedOptimizer, NAdamW
from nascence.params import Params

PAIRS: dict[str, tuple[LearnedOptimizer, Callable[..., torch.optim.Optimizer]]] = {
    "sgd": (
        SGD(0.03, momentum=0.9),
        lambda p: torch.optim.SGD(p, lr=0.03, momentum=0.9),
    ),
    "adam": (
        Adam(0.02, betas=(0.8, 0.99), epsilon=1e-6),
        lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.99), eps=1e-6),
    ),
    "adamw": (
        AdamW(0.02, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.1),
    ),
}


def trajectory(optimizer: LearnedOptimizer, grads: list[Params], params: Params) -> Params:
    state = optimizer.init(params)
    for grad in grads:
        updates, state = optimizer.update(grad, state, params)
        params = {name: value + updates[name] for name, value in params.items()}
    return params


@pytest.fixture
def problem(generator: torch.Generator) -> tuple[list[Params], Params]:
    shapes = {"a": (3, 4), "b": ()}

    def new() -> Params:
        return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}

    return [new() for _ in range(30)], new()


@pytest.mark.parametrize("name", PAIRS)
def test_the_trajectory_is_that_of_torch(name: str, problem: tuple[list[Params], Params]) -> None:
    grads, params = problem
    ours, make = PAIRS[name]
    theirs = {key: value.clone().requires_grad_() for key, value in params.items()}
    optimizer = make(list(theirs.values()))
    for grad in grads:
        for key, value in theirs.items():
            value.grad = grad[key]
        optimizer.step()
    found = trajectory(ours, grads, params)
    for key, value in theirs.items():
        torch.testing.assert_close(found[key], value.detach(), rtol=2e-5, atol=1e-6)


def test_nadamw_looks_one_step_ahead(problem: tuple[list[Params], Params]) -> None:
    grads, params = problem
    rate, shrink, beta1, beta2 = 0.01, 0.1, 0.9, 0.999
    value, first, second = params["a"].double(), 0.0, 0.0
    for step, grad in enumerate(grads, 1):
        g = grad["a"].double()
        first = beta1 * first + (1 - beta1) * g
        second = beta2 * second + (1 - beta2) * g * g
        ahead = (beta1 * first + (1 - beta1) * g) / (1 - beta1**step)
        move = ahead / ((second / (1 - beta2**step)).sqrt() + 1e-8)
        value = value - rate * move - rate * shrink * value
    found = trajectory(NAdamW(rate, weight_decay=shrink), grads, params)["a"]
    torch.testing.assert_close(found, value.float(), rtol=2e-5, atol=1e-6)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="learning_rate is 0"):
        Adam(0)
    with pytest.raises(ValueError, match="num_steps is -1"):
        Adam().init({}, num_steps=-1)
