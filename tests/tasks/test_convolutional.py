"""Convolutional classifiers against modules of torch."""

import pytest
import torch
from torch.nn import functional

from nascence.tasks.convolutional import Convolutional, convolution, convolutional
from nascence.tasks.images import batch_of


@pytest.mark.parametrize(("side", "stride"), [(8, 1), (8, 2), (5, 2), (4, 1)])
def test_the_convolution_is_that_of_torch(
    side: int, stride: int, generator: torch.Generator
) -> None:
    images = torch.randn(2, 3, side, side, generator=generator)
    weight = torch.randn(5, 3, 3, 3, generator=generator)
    found = convolution(images.permute(0, 2, 3, 1), weight, stride=stride).permute(0, 3, 1, 2)
    known = functional.conv2d(images, weight, stride=stride, padding=1)
    torch.testing.assert_close(found, known, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("index", [0, 1])
def test_the_loss_is_that_of_a_network_of_torch(index: int, generator: torch.Generator) -> None:
    task = convolutional().task(index)
    problem = task.problem
    assert isinstance(problem, Convolutional)
    params = task.init(generator=generator)
    (drawn,) = task.batch("test", generator=generator)
    flat, labels = batch_of(task.constants, drawn, side=8, grey=problem.grey)
    images = flat.view(-1, 1, 8, 8)
    for layer in range(2):
        weight, bias = params[f"convolution{layer}.weight"], params[f"convolution{layer}.bias"]
        images = torch.relu(functional.conv2d(images, weight, bias, stride=2, padding=1))
    if problem.head == "pool":
        features = functional.adaptive_avg_pool2d(images, 1).flatten(1)
    else:
        features = images.permute(0, 2, 3, 1).flatten(1)
    logits = features @ params["head0.weight"] + params["head0.bias"]
    torch.testing.assert_close(
        task.loss(params, (drawn,)), functional.cross_entropy(logits, labels)
    )
