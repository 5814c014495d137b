"""Layers of the models: widths, sizes and deviations."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nascence.models.layers import ConvNorm, check_choice, check_ends, divisible, kaiming_


@given(st.floats(1, 5000))
def test_divisible_is_a_multiple_of_eight_near_the_asked(channels: float) -> None:
    got = divisible(channels)
    assert got % 8 == 0
    assert got >= 0.9 * channels
    assert abs(got - channels) <= 8


@given(st.integers(1, 9), st.sampled_from([1, 3, 5]), st.sampled_from([1, 2]))
def test_convolution_keeps_the_size_up_to_the_stride(size: int, kernel: int, stride: int) -> None:
    layer = ConvNorm(2, 4, kernel, stride=stride).eval()
    assert layer(torch.zeros(1, 2, size, size)).shape[-1] == math.ceil(size / stride)


@pytest.mark.parametrize(("mode", "fan"), [("fan_out", 128 * 9), ("fan_in", 64 * 9)])
def test_kaiming_deviation(mode: str, fan: int) -> None:
    conv = nn.Conv2d(64, 128, 3)
    kaiming_(conv, mode=mode)
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / fan), rel=0.02)
    assert not conv.bias.any()


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("groups", [1, 4, 64])
def test_a_grouped_convolution_keeps_the_scale_of_its_input(
    mode: str, groups: int, generator: torch.Generator
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 3, groups=groups)
    kaiming_(conv, mode=mode)
    x = torch.randn(32, 64, 10, 10, generator=generator).relu()
    before, after = x.square().mean(), conv(x).square().mean()
    assert after.item() == pytest.approx(2 * before.item(), rel=0.2)


def test_checks_say_what_was_got_and_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"stem is 'mnist'; use one of 'imagenet', 'cifar'"):
        check_choice("stem", "mnist", ("imagenet", "cifar"))
    with pytest.raises(ValueError, match="classes is 0"):
        check_ends(0, 3)
