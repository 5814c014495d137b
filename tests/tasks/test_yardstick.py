"""The yardstick against a module of torch."""

import torch
from torch import nn

from nascence.tasks import Yardstick
from nascence.tasks.images import sample


def test_the_loss_is_that_of_the_module(generator: torch.Generator) -> None:
    task = Yardstick().task(0)
    params = task.init(generator=generator)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    with torch.no_grad():
        for layer, name in ((model[0], "first"), (model[2], "last")):
            layer.weight.copy_(params[f"{name}.weight"].T)
            layer.bias.copy_(params[f"{name}.bias"])
    (drawn,) = task.batch("train", generator=generator)
    images, labels = sample(8)
    rows = drawn % task.constants["rows"]
    inputs = images[rows].flatten(1) * task.constants["input_scale"]
    loss = nn.functional.cross_entropy(model(inputs), task.constants["classes"][labels[rows]])
    torch.testing.assert_close(task.loss(params, (drawn,)), loss)
