"""Scales before and after convolutions, against running them apart."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.reparam.arguments import convolution_of
from nascence.reparam.materialise import layer_of
from nascence.reparam.operators import (
    ChannelAffine,
    NotExact,
    added,
    as_convolution,
    compose_affine,
    pooling,
    regroup,
    scale_input,
    scale_output,
)


def affine(channels: int, rank: int = 2, *, shift: bool = True) -> ChannelAffine:
    generator = torch.Generator().manual_seed(channels)
    scale = torch.randn(channels, generator=generator, dtype=torch.float64)
    return ChannelAffine(scale, scale.flip(0) * shift, rank)


def apply(found: ChannelAffine, x: torch.Tensor) -> torch.Tensor:
    shape = (-1, *([1] * found.rank))
    return found.scale.reshape(shape) * x + found.shift.reshape(shape)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    kernel=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 4]),
    transposed=st.booleans(),
    padding=st.integers(0, 2),
    stride=st.integers(1, 2),
)
def test_scales_after_and_before(kernel, groups, transposed, padding, stride) -> None:
    generator = torch.Generator().manual_seed(kernel)
    shape = (4, 8 // groups) if transposed else (8, 4 // groups)
    weight = torch.randn(*shape, kernel, kernel, generator=generator, dtype=torch.float64)
    padding = min(padding, kernel - 1)
    found = convolution_of(
        weight, None, stride, padding, 1, groups, output_padding=0 if transposed else None
    )
    x = torch.randn(2, 4, 7, 8, generator=generator, dtype=torch.float64)
    plain = F.conv_transpose2d if transposed else F.conv2d
    y = plain(x, weight, None, stride, padding, groups=groups)
    after, before = affine(8), affine(4)
    torch.testing.assert_close(layer_of(scale_output(found, after))(x), apply(after, y))
    unshifted = ChannelAffine(before.scale, torch.zeros_like(before.shift), 2)
    expected = plain(apply(unshifted, x), weight, None, stride, padding, groups=groups)
    torch.testing.assert_close(layer_of(scale_input(found, unshifted))(x), expected)
    try:
        shifted = scale_input(found, before)
    except NotExact:
        assert padding or transposed
        return
    expected = plain(apply(before, x), weight, None, stride, padding, groups=groups)
    torch.testing.assert_close(layer_of(shifted)(x), expected)


def test_fewer_groups_are_the_same_function() -> None:
    found = convolution_of(torch.randn(8, 1, 3, 3), None, 1, 1, 1, 4)
    x = torch.randn(1, 4, 5, 5, dtype=torch.float64)
    for groups in (1, 2):
        torch.testing.assert_close(layer_of(regroup(found, groups))(x), layer_of(found)(x))


def test_pooling_and_scales_as_convolutions() -> None:
    x = torch.randn(1, 3, 9, 9, dtype=torch.float64)
    found = pooling(3, (3, 2), (2, 1), ((1, 1), (1, 1)))
    torch.testing.assert_close(layer_of(found)(x), F.avg_pool2d(x, (3, 2), (2, 1), 1))
    torch.testing.assert_close(layer_of(as_convolution(affine(3), 3, 2))(x), apply(affine(3), x))
    both = compose_affine(affine(3), affine(3))
    torch.testing.assert_close(apply(both, x), apply(affine(3), apply(affine(3), x)))


def test_axes_and_sizes_that_do_not_meet() -> None:
    found = convolution_of(torch.randn(8, 4, 3, 3), None)
    with pytest.raises(NotExact, match="another axis"):
        scale_output(found, affine(8, rank=1))
    with pytest.raises(NotExact, match="3 channels meets 8"):
        scale_output(found, affine(3))
    with pytest.raises(NotExact, match="different axes"):
        compose_affine(affine(3, rank=1), affine(3, rank=2))


def test_rounding_left_by_a_cancellation_is_zero() -> None:
    third = torch.tensor([1 / 3], dtype=torch.float64)
    assert added(third * 3 + 1e-16, -third * 3).item() == 0.0
    assert added(third, -third * (1 + 1e-12)).item() != 0.0
