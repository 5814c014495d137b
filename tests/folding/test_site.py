"""Constants beside data: which of them are one value per channel."""

import numpy as np
import pytest

from nascence.folding.site import per_channel
from nascence.onnx_files import Value

IMAGES = Value(1, ("N", 4, "H", 6))


@pytest.mark.parametrize(
    ("shape", "data", "rank"),
    [
        ((), IMAGES, None),
        ((1,), IMAGES, None),
        ((1, 1, 1), IMAGES, None),
        ((4, 1, 1), IMAGES, 2),
        ((1, 4, 1, 1), IMAGES, 2),
        ((6,), IMAGES, 0),
        ((), Value(1, None), None),
    ],
)
def test_one_value_per_channel(shape: tuple[int, ...], data: Value, rank: int | None) -> None:
    value = np.arange(1, 1 + np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    found = per_channel(value, data)
    assert found is not None
    assert found[1] == rank
    assert np.array_equal(found[0].numpy(), value.reshape(-1))


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ((4, 1, 6), IMAGES),  # two axes
        ((3, 1, 1, 1), Value(1, (3, 4, 5, 6))),  # the batch
        ((5, 1), IMAGES),  # an axis of unknown size, which it may widen
        ((4, 1, 1), Value(1, ("N", 1, 5, 6))),  # widens the channels
        ((1, 1, 1, 1, 1), IMAGES),  # adds an axis
        ((1,), Value(1, None)),  # may add an axis
    ],
)
def test_what_may_change_the_shape_is_not(shape: tuple[int, ...], data: Value) -> None:
    assert per_channel(np.ones(shape, np.float32), data) is None


def test_whole_numbers_are_not() -> None:
    assert per_channel(np.ones((), np.int64), IMAGES) is None
