"""Convolution blocks cost what they are said to; lists of numbers are read or refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nascence.graph import count_macs, count_parameters
from nascence.spaces.blocks import check_width, convolution_cost, normalised, read_numbers


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (3, 2, 4), (5, 1, 2)])
def test_cost_of_a_convolution_is_counted(kernel: int, stride: int, groups: int) -> None:
    block = nn.Sequential(*normalised(8, 12, kernel, stride=stride, groups=groups))
    images = torch.zeros(1, 8, 9, 9)
    side = block(images).shape[-1]
    assert side == -(-9 // stride)
    cost = convolution_cost(8, 12, kernel, side, groups=groups)
    assert cost == (count_parameters(block), count_macs(block, images))


@given(numbers=st.lists(st.integers(-99, 99), min_size=1, max_size=5))
def test_numbers_round_trip(numbers: list[int]) -> None:
    for text in (str(numbers), str(tuple(numbers)), " ".join(map(str, numbers))):
        assert read_numbers(text, len(numbers)) == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2", "has 2 numbers, and this space has 3 blocks"),
        ("1 x 2", "'x' for block 1 is no number"),
        ("1 2.0 3", "'2.0' for block 1 is no number"),
        ("1 -- 3", "'--' for block 1 is no number"),
        ("1 ² 3", "for block 1 is no number"),
        ("1 2 " + "9" * 5000, "for block 2 is no number"),
    ],
)
def test_other_text_is_refused_on_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_numbers(text, 3)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("width", [0, -1, 21, True, float("nan")])
def test_impossible_widths_are_refused(width: float) -> None:
    with pytest.raises(ValueError, match="width is"):
        check_width(width)
