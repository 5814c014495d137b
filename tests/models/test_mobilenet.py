"""MobileNets against torchvision's."""

import pytest
import torch
from torch import nn

from nascence import models
from nascence.graph import count_parameters


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.4])
def test_parameters_equal_torchvisions(width: float, torchvision_models) -> None:
    with torch.device("meta"):
        ours = models.mobilenet_v2(width=width)
        theirs = torchvision_models.mobilenet_v2(width_mult=width)
    assert count_parameters(ours) == count_parameters(theirs)


@pytest.mark.parametrize("width", [1.0, 0.5])
def test_function_equals_torchvisions(
    width: float, torchvision_models, transplant, generator: torch.Generator
) -> None:
    ours = models.mobilenet_v2(classes=7, width=width)
    theirs = torchvision_models.mobilenet_v2(num_classes=7, width_mult=width)
    transplant(theirs, ours)
    images = torch.randn(2, 3, 64, 75, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


def test_cifar_stem_divides_the_size_by_eight() -> None:
    small, large = models.mobilenet_v2(stem="cifar"), models.mobilenet_v2()
    with torch.no_grad():
        assert small.eval().blocks(small.stem(torch.zeros(1, 3, 32, 32))).shape[-2:] == (4, 4)
        assert large.eval().blocks(large.stem(torch.zeros(1, 3, 64, 64))).shape[-2:] == (2, 2)
    assert count_parameters(small) == count_parameters(large)


def test_dropout_acts_only_in_training(generator: torch.Generator) -> None:
    x = torch.randn(4, 3, 32, 32, generator=generator)
    assert models.mobilenet_v2(dropout=0.9).dropout.p == 0.9
    network = models.mobilenet_v2(dropout=1.0, stem="cifar", width=0.35)
    assert not network(x).any()
    assert network.eval()(x).any()


def test_classifier_starts_small() -> None:
    head = models.mobilenet_v2().head
    assert isinstance(head, nn.Linear)
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not head.bias.any()


def test_errors_name_the_remedy() -> None:
    with pytest.raises(ValueError, match="width is 0"):
        models.mobilenet_v2(width=0)
    with pytest.raises(ValueError, match="stem is 'tiny'"):
        models.mobilenet_v2(stem="tiny")
