"""Autoencoders whose loss is known."""

import torch

from nascence.params import Params
from nascence.task import Task
from nascence.tasks.autoencoders import Autoencoder, autoencoder
from nascence.tasks.images import sample


def zeros(task: Task) -> Params:
    params = task.init(generator=torch.Generator())
    return {name: torch.zeros_like(value) for name, value in params.items()}


def test_a_linear_path_through_the_identity_is_free(generator: torch.Generator) -> None:
    """Pixels p and -p through 2 n relus give p again, so that the error is zero."""
    problem = Autoencoder((32,), "relu", side=4)
    constants = problem.sample(generator=generator)
    eye = torch.eye(16)
    params = {
        "0.weight": torch.cat([eye, -eye], 1),
        "0.bias": torch.zeros(32),
        "1.weight": torch.cat([eye, -eye]),
        "1.bias": torch.zeros(16),
    }
    draw = tuple(part[0] for part in problem.draw(1, "train", generator=generator))
    assert problem.loss(constants, params, draw) < 1e-12


def test_with_nothing_the_error_is_the_mean_square(generator: torch.Generator) -> None:
    task = autoencoder().task(0)
    params = {
        name: torch.zeros_like(value) for name, value in task.init(generator=generator).items()
    }
    (drawn,) = task.batch("test", generator=generator)
    rows = -1 - drawn
    if task.constants["seen"]:
        rows = rows % task.constants["rows"]
    pixels = sample(8)[0][rows] * task.constants["input_scale"]
    torch.testing.assert_close(task.loss(params, (drawn,)), pixels.square().mean())


def test_the_bernoulli_loss_is_least_at_the_pixels(generator: torch.Generator) -> None:
    task = autoencoder().task(5)
    params = {
        name: torch.zeros_like(value) for name, value in task.init(generator=generator).items()
    }
    batch = task.batch("train", generator=generator)
    torch.testing.assert_close(task.loss(params, batch), torch.tensor(2.0).log())
