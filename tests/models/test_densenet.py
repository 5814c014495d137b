"""DenseNets against torchvision's and the published counts."""

import math

import pytest
import torch
from torch import nn

from nascence import models
from nascence.graph import count_parameters


@pytest.mark.parametrize("name", ["densenet121", "densenet169", "densenet201", "densenet161"])
def test_parameters_equal_torchvisions(name: str, torchvision_models) -> None:
    with torch.device("meta"):
        ours, theirs = getattr(models, name)(), getattr(torchvision_models, name)()
    assert count_parameters(ours) == count_parameters(theirs)


def test_function_equals_torchvisions(
    torchvision_models, transplant, generator: torch.Generator
) -> None:
    ours, theirs = models.densenet121(classes=7), torchvision_models.densenet121(num_classes=7)
    transplant(theirs, ours)
    images = torch.randn(2, 3, 64, 64, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("depth", "growth", "bottleneck", "published"),
    [  # table 2 of the paper, millions
        (100, 12, True, 0.8),
        (250, 24, True, 15.3),
        (190, 40, True, 25.6),
        (40, 12, False, 1.0),
        (100, 12, False, 7.0),
        (100, 24, False, 27.2),
    ],
)
def test_cifar_family_has_the_published_parameters(
    depth: int, growth: int, bottleneck: bool, published: float
) -> None:
    with torch.device("meta"):
        network = models.cifar_densenet(
            depth, growth=growth, bottleneck=bottleneck, compression=0.5 if bottleneck else 1.0
        )
    assert round(count_parameters(network) / 1e6, 1) == published


def test_block_keeps_its_input_and_appends_each_layer(generator: torch.Generator) -> None:
    block = models.cifar_densenet(22).blocks[0].eval()
    x = torch.randn(1, 24, 6, 6, generator=generator)
    y = block(x)
    want = x
    for layer in block.layers:
        want = torch.cat((want, layer(want)), dim=1)
    torch.testing.assert_close(y, want)
    assert torch.equal(y[:, :24], x)


def test_first_weights_have_he_deviation() -> None:
    network = models.densenet121(stem="cifar")
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 30_000:
            fan_in = module.in_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.03)
    assert not network.head.bias.any()


def test_errors_name_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"depth is 99; with bottleneck=True it must be 6n \+ 4"):
        models.cifar_densenet(99)
    with pytest.raises(ValueError, match="stem is 'tiny'"):
        models.densenet121(stem="tiny")
