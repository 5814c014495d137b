"""Accuracy with statistics of the training images."""

import torch
from torch import nn
from torch.func import functional_call

from nascence.hypernet import accuracy, recalibrate


def test_accuracy_does_not_depend_on_the_test_batch() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 3)
    )
    images, labels = torch.randn(60, 3, 8, 8), torch.randint(3, (60,))
    params = dict(model.named_parameters())
    values = {**params, **recalibrate(model, params, images.split(20))}
    shares = {accuracy(model, values, images, labels, batch_size=size) for size in (1, 7, 60)}
    assert len(shares) == 1
    logits = functional_call(model.eval(), values, (images,))
    assert shares == {float((logits.argmax(1) == labels).double().mean())}
