"""Numbers for readers, against what a reader would compute back from them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascence.report.formatting import (
    GAP,
    MISSING,
    count,
    duration,
    magnitude,
    milliseconds,
    percent,
    points,
    shorten,
    three_digits,
)

UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "ms": 1e-3, "s": 1, "min": 60, "h": 3600}


def read(text: str) -> float:
    """The value of ``3 min 05 s`` or ``1.24 M``."""
    pieces = text.replace(GAP, " ").split(" ")
    values, units = pieces[::2], pieces[1::2] or [""]
    return sum(float(v) * UNITS[u] for v, u in zip(values, units, strict=True))


@given(st.integers(0, 10**14))
def test_a_magnitude_keeps_three_digits(value: int) -> None:
    assert read(magnitude(value)) == pytest.approx(value, rel=0.0051)


@given(st.floats(0, 1e6))
def test_a_duration_reads_back(seconds: float) -> None:
    allowed = 0.0006 if seconds < 1 else 0.051 if seconds < 10 else 0.51 if seconds < 3600 else 31
    assert read(duration(seconds)) == pytest.approx(seconds, abs=allowed)


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (magnitude, 999_600, "1.00 M"),
        (magnitude, 271_434, "271 k"),
        (magnitude, 12, "12"),
        (count, 1234567, "1,234,567"),
        (percent, 0.99999, "99.9 %"),
        (percent, 1.0, "100.0 %"),
        (percent, 0.00001, "0.1 %"),
        (percent, 0.0, "0.0 %"),
        (points, 0.029, "+2.9"),
        (points, -0.029, "\N{MINUS SIGN}2.9"),
        (points, 0.0001, "±0.0"),
        (milliseconds, 2.104, "2.10 ms"),
        (milliseconds, 0.0123, "0.012 ms"),
        (milliseconds, 12345.0, "12,345 ms"),
        (duration, 59.7, "1 min 00 s"),
        (duration, 3599.9, "1 h 00 min"),
        (three_digits, 9.996, "10.0"),
    ],
)
def test_figures(function, value: float, expected: str) -> None:  # type: ignore[no-untyped-def]
    assert function(value).replace(GAP, " ") == expected


@pytest.mark.parametrize(
    "function", [magnitude, count, percent, points, milliseconds, duration, three_digits]
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_was_not_measured_is_a_dash(function, value: float) -> None:  # type: ignore[no-untyped-def]
    assert function(value) == MISSING


@given(st.text(), st.integers(4, 40))
def test_a_shortened_text_fits_and_keeps_both_ends(text: str, length: int) -> None:
    plain = " ".join(text.split())
    short = shorten(text, length)
    assert len(short) <= length
    if len(plain) <= length:
        assert short == plain
    else:
        head, tail = short.split("…")[0], short.split("…")[-1]
        assert plain.startswith(head)
        assert plain.endswith(tail)
