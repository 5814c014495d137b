"""Lines of text, apart from any space."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascence.spaces.elastic_line import read, written


@given(st.data(), st.booleans(), st.integers(1, 4), st.integers(1, 3))
def test_values_are_read_back(
    data: st.DataObject, resolution: bool, depth: int, count: int
) -> None:
    values = [data.draw(st.integers(0, 999))] if resolution else []
    for _ in range(count):
        values.append(data.draw(st.integers(0, depth)))
        values += data.draw(st.lists(st.integers(0, 999), min_size=2 * depth, max_size=2 * depth))
    text = written(values, resolution=resolution, depth=depth)
    assert read(text, resolution=resolution, depth=depth, stages=count) == values


def test_a_line() -> None:
    values = [160, 1, 3, 4, 7, 6, 2, 5, 3, 3, 3]
    text = written(values, resolution=True, depth=2)
    assert text == "r160 k3e4 (k7e6) | k5e3 k3e3"
    with pytest.raises(ValueError, match="2 stages"):
        read(text, resolution=True, depth=2, stages=3)
