"""Shapes against those that torch gives."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nascence.graph import shapes

small = st.integers(1, 4)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 3), small, small, small, st.integers(0, 2), small, st.integers(3, 12))
def test_convolution_equals_torch(
    axes: int, k: int, stride: int, groups: int, padding: int, dilation: int, size: int
) -> None:
    assume(size + 2 * padding > dilation * (k - 1))
    x = torch.empty((2, 2 * groups) + (size,) * axes, device="meta")
    weight = torch.empty((3 * groups, 2) + (k,) * axes, device="meta")
    function = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    expected = function(x, weight, None, stride, padding, dilation, groups).shape
    given_shape = shapes.convolution(x.shape, weight.shape, stride, padding, dilation, groups)
    assert given_shape == tuple(expected)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 5), small, st.integers(0, 2), st.booleans(), st.integers(5, 14))
def test_pooling_equals_torch(k: int, stride: int, padding: int, ceil: bool, size: int) -> None:
    assume(padding <= k // 2)
    x = torch.empty(1, 2, size, size + 1)
    expected = F.max_pool2d(x, k, stride, padding, ceil_mode=ceil).shape
    assert shapes.pooling(x.shape, k, stride, padding, 1, ceil, 2) == tuple(expected)


@given(st.lists(st.integers(1, 3), max_size=4), st.lists(st.integers(1, 3), max_size=4))
def test_broadcast_equals_torch(first: list[int], second: list[int]) -> None:
    try:
        expected = tuple(torch.broadcast_shapes(tuple(first), tuple(second)))
    except RuntimeError:
        with pytest.raises(ValueError, match="do not broadcast"):
            shapes.broadcast(first, second)
    else:
        assert shapes.broadcast(first, second) == expected


def test_reduction_and_concatenation_equal_torch() -> None:
    x = torch.empty(2, 3, 4, 5)
    for axes in ((1,), (2, 3), (-1, -2), ()):
        for keep in (False, True):
            expected = x.mean(axes, keepdim=keep) if axes else x.mean(tuple(range(4)), keep)
            assert shapes.reduction(x.shape, axes, keep) == tuple(expected.shape)
    assert shapes.concatenation([(2, 3), (2, 4)], -1) == (2, 7)
    assert shapes.adaptive(x.shape, (None, 1), 2) == (2, 3, 4, 1)


def test_misfits_are_named() -> None:
    with pytest.raises(ValueError, match="needs 3 input channels"):
        shapes.convolution((1, 4, 8, 8), (5, 3, 3, 3))
    with pytest.raises(ValueError, match="does not fit"):
        shapes.convolution((1, 3, 2, 2), (5, 3, 3, 3))
    with pytest.raises(ValueError, match="linear layer"):
        shapes.linear((1, 4), (2, 5))
    with pytest.raises(ValueError, match="cannot join"):
        shapes.concatenation([(2, 3), (3, 3)], 1)
