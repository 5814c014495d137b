"""Perceptrons against modules of torch."""

import pytest
import torch
from torch import nn

from nascence.task import Task
from nascence.tasks.images import sample
from nascence.tasks.multilayer import Multilayer, multilayer, softmax

MODULES = {"relu": nn.ReLU, "tanh": nn.Tanh, "elu": nn.ELU, "sigmoid": nn.Sigmoid}


@pytest.mark.parametrize("index", [0, 6, 7, 13])
def test_the_loss_is_that_of_the_module(index: int, generator: torch.Generator) -> None:
    task = multilayer().task(index)
    problem, constants = task.problem, task.constants
    assert isinstance(problem, Multilayer)
    params = task.init(generator=generator)
    modules: list[nn.Module] = []
    for layer in range(len(problem.widths) - 1):
        linear = nn.Linear(problem.widths[layer], problem.widths[layer + 1])
        with torch.no_grad():
            linear.weight.copy_(params[f"{layer}.weight"].T)
            linear.bias.copy_(params[f"{layer}.bias"])
        modules += [linear, MODULES[problem.activation]()]
    (drawn,) = task.batch("test", generator=generator)
    images, labels = sample(problem.side, grey=problem.grey)
    rows = -1 - drawn
    if constants["seen"]:
        rows = rows % constants["rows"]
    logits = nn.Sequential(*modules[:-1])(images[rows].flatten(1) * constants["input_scale"])
    loss = nn.functional.cross_entropy(logits, constants["classes"][labels[rows]])
    torch.testing.assert_close(task.loss(params, (drawn,)), loss)


def test_softmax_regression_by_hand(generator: torch.Generator) -> None:
    task = softmax().task(0)
    zeros = {"0.weight": torch.zeros(64, 10), "0.bias": torch.zeros(10)}
    batch = task.batch("train", generator=generator)
    torch.testing.assert_close(task.loss(zeros, batch), torch.tensor(10.0).log())
    # Only the logit of label 0 is log 9: its probability is a half, of the others 1 / 18.
    zeros["0.bias"][0] = torch.tensor(9.0).log()
    rows = batch[0] % task.constants["rows"]
    right = (task.constants["classes"][sample(8)[1][rows]] == 0).float().mean()
    known = right * torch.tensor(2.0).log() + (1 - right) * torch.tensor(18.0).log()
    torch.testing.assert_close(task.loss(zeros, batch), known)


def test_softmax_regression_is_convex(generator: torch.Generator) -> None:
    task = softmax().task(1)
    batch = task.batch("train", generator=generator)
    one, other = task.init(generator=generator), task.init(generator=generator)
    middle = {name: (one[name] + other[name]) / 2 for name in one}
    assert task.loss(middle, batch) <= (task.loss(one, batch) + task.loss(other, batch)) / 2


def test_depths_and_activations_are_the_published_ones() -> None:
    problems = multilayer().problems
    activations = [problem.activation for problem in problems if isinstance(problem, Multilayer)]
    assert activations.count("relu") == 6
    assert activations.count("tanh") == 3
    assert len(set(activations)) == 9
    assert {len(p.hidden) for p in problems if isinstance(p, Multilayer)} == {1, 2, 3, 4, 6}
    assert isinstance(multilayer().task(0), Task)
