"""Where axes go under Reshape, by trying every axis with numpy."""

import itertools

import numpy as np
import pytest

from nascence.folding.shape_readers import reshaped, reshaping_axes


@pytest.mark.parametrize(
    ("source", "shape", "zero", "target"),
    [
        (("N", 6, 2, 2), [0, -1], False, ("N", 24)),
        (("N", 6, 2, 2), [-1, 24], False, (None, 24)),
        (("N", 6, "H", "W"), [0, 0, -1], False, ("N", 6, None)),
        (("N", 6, 4), [0, 3, 2, -1], False, ("N", 3, 2, 4)),
        ((2, 6), [3, -1], False, (3, 4)),
        ((2, 6), [0, 6], True, None),
        ((2, 6), [2, 6, 0], False, None),
        ((None, 6), [0, -1], False, (None, None)),
    ],
)
def test_sizes_after_a_reshape(source, shape, zero: bool, target) -> None:
    assert reshaped(source, shape, zero) == target


def test_axes_survive_exactly_where_numpy_says_so() -> None:
    """A value that depends on one axis alone depends on one axis alone after it."""
    sizes = [(2, 3, 4), (2, 12), (2, 3, 2, 2), (2, 4, 3), (24,), (2, 6, 2), (2, 2, 6), (6, 4)]
    for source, target in itertools.product(sizes, sizes):
        found = reshaping_axes(source, target)
        for axis in range(1, len(source)):
            size = source[axis]
            index = np.arange(size).reshape(-1, *([1] * (len(source) - 1 - axis)))
            moved = np.broadcast_to(index, source).reshape(target)
            for other in range(len(target)):
                key = (len(source) - 1 - axis, len(target) - 1 - other)
                repeat = target[other] // size
                shaped = np.arange(size).repeat(max(repeat, 1))
                survives = target[other] % size == 0 and np.array_equal(
                    moved,
                    np.broadcast_to(shaped.reshape(-1, *([1] * (len(target) - 1 - other))), target),
                )
                assert (key in found) == survives, (source, target, axis, other)
                assert found.get(key, repeat) == repeat


def test_named_sizes_cancel_and_unknown_ones_do_not() -> None:
    assert reshaping_axes(("N", 6, "H"), ("N", 6, "H")) == {(1, 1): 1}
    assert reshaping_axes(("N", 6, "H"), ("N", 6, None)) == {}
    assert reshaping_axes((None, 6, 4), (None, 24)) == {(1, 0): 4}
