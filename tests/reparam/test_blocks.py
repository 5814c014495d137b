"""Blocks fold to one convolution with the same output."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from nascence.reparam import (
    MobileOneBlock,
    fold,
)
from nascence.reparam.branch_layers import PaddedNorm
from tests.reparam.blocks_for_tests import BLOCKS

BOUNDS = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}
PER_TEST = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=PER_TEST)
@given(
    block=st.sampled_from(BLOCKS),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.sampled_from([1, 1, 2, 3]),
    dilation=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 4]),
    padding=st.one_of(st.none(), st.integers(0, 7)),
    out_channels=st.sampled_from([4, 8]),
    dtype=st.sampled_from(list(BOUNDS)),
)
def test_a_folded_block_is_one_convolution_with_the_same_function(
    block, kernel, stride, dilation, groups, padding, out_channels, dtype, randomise, distance
) -> None:
    model = block(
        4,
        out_channels,
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    model = randomise(model).to(dtype)
    size = [dilation * (k - 1) + 5 for k in kernel]
    x = torch.randn(2, 4, *size, generator=torch.Generator().manual_seed(0)).to(dtype)
    folded = fold(model, x)
    truth = copy.deepcopy(model).double()(x.double())
    assert distance(folded(x), truth) < BOUNDS[dtype]
    layers = [layer for layer in folded.modules() if not list(layer.children())]
    assert [type(layer) for layer in layers] in ([nn.Conv2d], [nn.Conv2d, nn.Identity])
    assert {value.dtype for value in folded.state_dict().values()} == {dtype}


def test_the_border_of_a_padded_norm_is_what_it_makes_of_zero(randomise) -> None:
    norm = randomise(PaddedNorm(3, (2, 1)))
    x = torch.randn(1, 3, 4, 5)
    padded = norm(x)
    assert padded.shape == (1, 3, 8, 7)
    torch.testing.assert_close(padded[..., 2:-2, 1:-1], norm.norm(x))
    border = norm.norm(torch.zeros(1, 3, 1, 1))
    torch.testing.assert_close(padded[..., :2, :], border.expand(1, 3, 2, 7))
    torch.testing.assert_close(padded[..., -1:], border.expand(1, 3, 8, 1))


def test_copies_must_be_positive() -> None:
    with pytest.raises(ValueError, match="copies is 0"):
        MobileOneBlock(4, 4, copies=0)
