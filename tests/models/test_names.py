"""What every network must do, by name."""

import pickle

import pytest
import torch
import torch.fx
import torch.nn.functional as F
from torch import nn

from nascence import models
from nascence.graph import count_macs

SMALL = [
    name
    for name in models.names()
    if name.endswith("_cifar")
    or name in {"resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "densenet_bc_100_12"}
]
ONE_OF_EACH = [
    "densenet_bc_100_12",
    "dynamic_mobilenet_v2_cifar",
    "mobilenet_v2_cifar",
    "resnet20",
    "shufflenet_v2_x0_5_cifar",
    "vit_cifar",
]
# Multiply-adds in G at 224 pixels with 1000 classes, as torchvision and timm publish them.
PUBLISHED = {
    "densenet121": 2.834,
    "densenet161": 7.728,
    "densenet169": 3.36,
    "densenet201": 4.291,
    "mobilenet_v2": 0.301,
    "resnet101": 7.801,
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet50": 4.089,
    "shufflenet_v2_x0_5": 0.04,
    "shufflenet_v2_x1_0": 0.145,
    "shufflenet_v2_x1_5": 0.296,
    "shufflenet_v2_x2_0": 0.583,
    "vit_base": 17.564,
}


def gradients_reach(network: nn.Module, images: torch.Tensor) -> None:
    logits = network(images)
    assert logits.shape == (len(images), 5)
    F.cross_entropy(logits, torch.arange(len(images))).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def with_statistics_of_(network: nn.Module, images: torch.Tensor) -> None:
    """Into evaluation with the batch's own statistics, so that the logits keep their scale."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network(images)
    network.eval()


@pytest.mark.parametrize("name", SMALL)
def test_small_images(name: str, generator: torch.Generator) -> None:
    torch.manual_seed(0)
    network = models.build(name, classes=5, in_channels=1)
    gradients_reach(network, torch.randn(2, 1, 32, 32, generator=generator))


@pytest.mark.parametrize(
    "name",
    [
        "densenet121",
        "dynamic_mobilenet_v2",
        "dynamic_resnet18",
        "mobilenet_v2",
        "resnet50",
        "shufflenet_v2_x1_0",
        "vit_tiny",
    ],
)
def test_usual_size(name: str, generator: torch.Generator) -> None:
    torch.manual_seed(0)
    network = models.build(name, classes=5)
    gradients_reach(network, torch.randn(2, 3, 224, 224, generator=generator))


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_published_multiply_adds(name: str) -> None:
    with torch.device("meta"):
        network = models.build(name, classes=1000)
        macs = count_macs(network, torch.zeros(1, 3, 224, 224))
    assert macs / 1e9 == pytest.approx(PUBLISHED[name], abs=0.00051)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_evaluation_is_repeatable_and_pickling_keeps_it(
    name: str, generator: torch.Generator
) -> None:
    network = models.build(name, classes=5)
    images = torch.randn(2, 3, 32, 32, generator=generator)
    with torch.no_grad():
        with_statistics_of_(network, images)
        once = network(images)
        assert once.std() > 1e-3
        assert torch.equal(once, network(images))
        assert torch.equal(once, pickle.loads(pickle.dumps(network))(images))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_traces_symbolically(name: str, generator: torch.Generator) -> None:
    network = models.build(name, classes=5)
    images = torch.randn(2, 3, 32, 32, generator=generator)
    with torch.no_grad():
        with_statistics_of_(network, images)
        torch.testing.assert_close(torch.fx.symbolic_trace(network)(images), network(images))


@pytest.mark.parametrize("name", ["resnet20", "shufflenet_v2_x0_5_cifar", "vit_cifar"])
def test_exports_for_any_batch_size(name: str, generator: torch.Generator) -> None:
    network = models.build(name, classes=5).eval()
    images = torch.randn(3, 3, 32, 32, generator=generator)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(network, (images,), dynamic_shapes=({0: batch},))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(images[:2]), network(images[:2]))


def test_dynamic_convolution_exports_for_one_batch_size(generator: torch.Generator) -> None:
    network = models.build("dynamic_resnet18_cifar", classes=5)
    image = torch.randn(1, 3, 32, 32, generator=generator)
    with torch.no_grad():
        with_statistics_of_(network, image)
        program = torch.export.export(network, (image,))
        torch.testing.assert_close(program.module()(image), network(image))


def test_unknown_name_lists_the_closest() -> None:
    with pytest.raises(ValueError, match=r"no network 'ResNet-50'; did you mean resnet50"):
        models.build("ResNet-50", classes=10)
    with pytest.raises(ValueError, match=r"use one of densenet121"):
        models.build("zzz", classes=10)
    with pytest.raises(ValueError, match="classes is 0"):
        models.build("resnet20", classes=0)
