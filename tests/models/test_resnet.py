"""Residual networks against torchvision's and the published counts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nascence import models
from nascence.graph import count_macs, count_parameters
from nascence.models.resnet import PaddedIdentity


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_parameters_equal_torchvisions(name: str, torchvision_models) -> None:
    with torch.device("meta"):
        ours, theirs = getattr(models, name)(), getattr(torchvision_models, name)()
    assert count_parameters(ours) == count_parameters(theirs)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_function_equals_torchvisions(
    name: str, torchvision_models, transplant, generator: torch.Generator
) -> None:
    ours, theirs = (
        getattr(models, name)(classes=7),
        getattr(torchvision_models, name)(num_classes=7),
    )
    transplant(theirs, ours)
    images = torch.randn(2, 3, 75, 64, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


def test_cifar_stem_keeps_the_size() -> None:
    network = models.resnet50(classes=10, stem="cifar")
    assert network.stem(torch.zeros(1, 3, 32, 32)).shape == (1, 64, 32, 32)
    # 3x3 in place of 7x7 in the stem and 10 classes in place of 1000 are the only differences.
    saved = 64 * 3 * (49 - 9) + 2049 * 990
    assert count_parameters(network) == 25_557_032 - saved


@pytest.mark.parametrize(
    ("name", "exact", "published"),
    [
        ("resnet20", 269_722, "0.27"),
        ("resnet32", 464_154, "0.46"),
        ("resnet44", 658_586, "0.66"),
        ("resnet56", 853_018, "0.85"),
        ("resnet110", 1_727_962, "1.7"),
    ],
)
def test_cifar_family_has_the_published_parameters(name: str, exact: int, published: str) -> None:
    with torch.device("meta"):
        count = count_parameters(getattr(models, name)())
    assert count == exact
    assert f"{count / 1e6:.{len(published) - 2}f}" == published


def test_projection_adds_its_two_convolutions() -> None:
    with torch.device("meta"):
        plain, projected = models.resnet20(), models.resnet20(shortcut="projection")
    extra = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert count_parameters(projected) == count_parameters(plain) + extra


def test_padded_identity_value_by_value(generator: torch.Generator) -> None:
    x = torch.randn(2, 3, 5, 4, generator=generator)
    y = PaddedIdentity(3, 7, stride=2)(x)
    assert y.shape == (2, 7, 3, 2)
    for channel in range(7):
        for row in range(3):
            for column in range(2):
                want = x[:, channel, 2 * row, 2 * column] if channel < 3 else torch.zeros(2)
                assert torch.equal(y[:, channel, row, column], want)


def test_block_without_residual_is_the_identity_on_positive_values() -> None:
    block = models.resnet20().stages[0][1].eval()
    nn.init.zeros_(block.residual[1][1].weight)
    x = torch.rand(1, 16, 4, 4)
    assert torch.equal(block(x), x)


def test_first_weights_have_he_deviation() -> None:
    for module in models.resnet18().modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 30_000:
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.03)
        if isinstance(module, nn.BatchNorm2d):
            assert bool((module.weight == 1).all())
            assert not module.bias.any()


@settings(max_examples=15, deadline=None)
@given(
    st.floats(6, math.log10(5e8)).map(lambda power: round(10**power)),
    st.sampled_from([(3, 32, 32), (1, 28, 28), (3, 64, 48), (3, 8, 9)]),
    st.sampled_from([2, 10, 100]),
)
def test_network_of_given_cost(macs: int, shape: tuple[int, int, int], classes: int) -> None:
    with torch.device("meta"):
        network = models.resnet_of_macs(macs, classes=classes, image_shape=shape)
        cost = count_macs(network, torch.zeros(1, *shape))
    assert cost == pytest.approx(macs, rel=0.05)


@pytest.mark.parametrize(("macs", "depth"), [(5_000_000, 8), (30_000_000, 14), (41_000_000, 20)])
def test_depth_follows_the_documented_rule(macs: int, depth: int) -> None:
    network = models.resnet_of_macs(macs, classes=10, image_shape=(3, 32, 32))
    assert sum(len(stage) for stage in network.stages) * 2 + 2 == depth


def test_resnet20_is_its_own_equal_in_cost() -> None:
    with torch.device("meta"):
        cost = count_macs(models.resnet20(), torch.zeros(1, 3, 32, 32))
        network = models.resnet_of_macs(cost, classes=10, image_shape=(3, 32, 32))
    assert [stage[0].residual[0][0].out_channels for stage in network.stages] == [16, 32, 64]


def test_errors_name_the_remedy() -> None:
    with pytest.raises(ValueError, match="depth is 21; it must be 6n"):
        models.cifar_resnet(21)
    with pytest.raises(ValueError, match="width is 0"):
        models.cifar_resnet(20, width=0)
    with pytest.raises(ValueError, match="stem is 'tiny'"):
        models.resnet18(stem="tiny")
    with pytest.raises(ValueError, match="shortcut is 'none'"):
        models.resnet20(shortcut="none")
    with pytest.raises(ValueError, match="the smallest network needs"):
        models.resnet_of_macs(1000, classes=10, image_shape=(3, 32, 32))
    with pytest.raises(ValueError, match="image_shape is"):
        models.resnet_of_macs(10**6, classes=10, image_shape=(3, 0, 32))
