"""Shares of the time, and settings out of range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nascence.design.settings import DesignSettings, share


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
        {"classes": 10**12},
        {"start": "zero"},
        {"optimizer": "adam"},
    ],
)
def test_settings_out_of_range(values: dict) -> None:
    with pytest.raises(ValidationError):
        DesignSettings(**values)
