import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nascence.design.settings import DesignSettings, parse_duration, share


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("1h30m", 5400), (" 2 D ", 172800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10x", "-5m", "m", "0s", "1h30", "nan", "1e3", "5mm"])
def test_bad_durations_say_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"budget is .*; "):
        parse_duration(text)


@given(st.integers(1, 10**6), st.integers(0, 59), st.integers(1, 59))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    expected = 3600 * hours + 60 * minutes + seconds
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == expected


@given(st.floats(1, 1e6), st.booleans())
def test_shares_add_up_and_the_baseline_gets_as_long(budget: float, baseline: bool) -> None:
    shares = share(budget, baseline=baseline)
    assert sum(shares) == pytest.approx(budget)
    assert min(shares) >= 0
    if baseline:
        assert shares.baseline == pytest.approx(shares.search + shares.train)
    else:
        assert shares.baseline == 0


@pytest.mark.parametrize(
    "values",
    [
        {"size": 3},
        {"max_params": 0},
        {"device": "tpu"},
        {"seed": -1},
        {"unknown": 1},
        {"classes": 1},
        {"start": "zero"},
        {"optimizer": "adam"},
    ],
)
def test_settings_out_of_range(values: dict) -> None:
    with pytest.raises(ValidationError):
        DesignSettings(**values)
