"""Ranges of numbers: what they hold, what they say, and how the types of settings name them."""

import dataclasses
import math
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascence.core import ranges
from nascence.core.ranges import Range, check_ranges, ranges_of

ALL = {name: value for name, value in vars(ranges).items() if isinstance(value, Range)}
NEVER = [math.nan, math.inf, -math.inf, 1e300, -1e300, 10**400, True, "1", None]


@pytest.mark.parametrize("name", ALL)
def test_no_range_holds_what_is_no_sensible_number(name: str) -> None:
    allowed = ALL[name]
    for value in (*NEVER, allowed.most * 2 + 1, allowed.least - 1):
        assert not allowed.holds(value)
    assert allowed.holds(allowed.most)
    assert allowed.holds(allowed.least) is not allowed.above


@given(st.integers(-50, 50), st.integers(1, 60), st.integers(1, 8), st.integers(-200, 200))
def test_whole_numbers_are_those_of_an_interval(
    least: int, length: int, step: int, value: int
) -> None:
    allowed = Range(least, least + length, multiple=step)
    expected = value in range(least, least + length + 1) and value % step == 0
    assert allowed.holds(value) is expected
    assert allowed.holds(float(value)) is expected
    assert not allowed.holds(value + 0.5)


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        (Range(1, 1000), "a whole number from 1 to 1,000"),
        (Range(8, 512, multiple=4), "a multiple of 4 from 8 to 512"),
        (Range(0, 0.5, whole=False), "a number from 0 to 0.5"),
        (Range(0, 10, whole=False, above=True), "a number above 0, at most 10"),
    ],
)
def test_a_refusal_says_name_value_and_range(allowed: Range, words: str) -> None:
    with pytest.raises(ValueError, match=rf"steps is -1; give {words}$"):
        allowed.check("steps", -1)


@pytest.mark.parametrize("text", ["", "x", "1e3", "0x10", "2.0", "9" * 5000, "inf", "nan", "-0"])
def test_text_that_is_no_whole_number_of_the_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"; give a whole number from 1 to 100$") as caught:
        Range(1, 100).read("steps", text)
    assert len(str(caught.value)) < 120


def test_text_is_read_as_the_kind_of_number() -> None:
    assert Range(1, 100).read("steps", " 7 ") == 7
    assert Range(0, 1e9, whole=False).read("limit", "6e7") == 6e7


@dataclasses.dataclass
class Settings:
    steps: Annotated[int, Range(1, 9)] = 1
    widths: Annotated[tuple[int, ...], Range(8, 64, multiple=8)] = (8,)
    seconds: Annotated[float | None, Range(0, 60, whole=False, above=True)] = None
    name: Annotated[str, "of no range"] = ""


def test_fields_are_checked_by_the_ranges_in_their_types() -> None:
    assert list(ranges_of(Settings)) == ["steps", "widths", "seconds"]
    check_ranges(Settings(steps=9, widths=(8, 64), seconds=0.5))
    for name, value, said in (
        ("steps", 10, "steps is 10"),
        ("widths", (8, 12), "widths is 12"),
        ("seconds", math.inf, "seconds is inf"),
    ):
        with pytest.raises(ValueError, match=said):
            check_ranges(Settings(**{name: value}))
