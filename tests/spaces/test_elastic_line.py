"""Lines of text, apart from any space."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascence.spaces.elastic_line import read, written

blocks = st.lists(st.integers(0, 999), min_size=4, max_size=4)
stages = st.lists(st.tuples(st.integers(0, 2), blocks), min_size=1, max_size=3)


@given(st.none() | st.integers(0, 999), stages)
def test_values_are_read_back(resolution: int | None, drawn: list[tuple[int, list[int]]]) -> None:
    values = [] if resolution is None else [resolution]
    for used, numbers in drawn:
        values += [used, *numbers]
    text = written(values, resolution=resolution is not None, depth=2)
    assert read(text, resolution=resolution is not None, depth=2, stages=len(drawn)) == values


def test_a_line() -> None:
    values = [160, 1, 3, 4, 7, 6, 2, 5, 3, 3, 3]
    text = written(values, resolution=True, depth=2)
    assert text == "r160 k3e4 (k7e6) | k5e3 k3e3"
    with pytest.raises(ValueError, match="2 stages"):
        read(text, resolution=True, depth=2, stages=3)
