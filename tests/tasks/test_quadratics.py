"""Quadratics have the gradient in closed form."""

import torch
from torch.func import grad

from nascence.tasks import Quadratics


def test_the_gradient_is_the_known_one(generator: torch.Generator) -> None:
    task = Quadratics().task(5)
    constants = task.constants
    params = task.init(generator=generator)
    batch = task.batch("train", generator=generator)
    found = grad(task.loss)(params, batch)["x"]
    offset = params["x"] - constants["centre"]
    known = constants["matrix"] @ offset + constants["noise"] * batch[0]
    torch.testing.assert_close(found, constants["scale"] * known)


def test_the_least_loss_is_zero_at_the_centre(generator: torch.Generator) -> None:
    task = Quadratics().task(11)
    batch = task.batch("test", generator=generator)
    assert task.loss({"x": task.constants["centre"]}, batch) == 0
    assert torch.linalg.eigvalsh(task.constants["matrix"])[0] > 5e-4
