"""Kinds of padding, by how a convolution would be written."""

import pytest

from nascence.reparam.operators import Convolution, pooling
from nascence.reparam.paddings import is_padding, is_same, is_symmetric


def convolution(kernel: int, low: int, high: int, stride: int = 1) -> Convolution:
    return pooling(2, (kernel,), (stride,), ((low, high),))


@pytest.mark.parametrize(
    ("found", "symmetric", "same", "padding"),
    [
        (convolution(3, 1, 1), True, True, False),
        (convolution(3, 2, 2), True, False, False),
        (convolution(4, 1, 2), False, True, False),
        (convolution(4, 2, 1), False, False, False),
        (convolution(3, 1, 1, stride=2), True, False, False),
        (convolution(1, 0, 2), False, False, True),
        (convolution(1, -1, -1), False, False, True),
    ],
)
def test_kinds(found: Convolution, symmetric: bool, same: bool, padding: bool) -> None:
    assert (is_symmetric(found), is_same(found), is_padding(found)) == (symmetric, same, padding)
