"""Shares of the time, and settings out of range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nascence.design.settings import DesignSettings, share


@given(st.floats(1, 1e6), st.booleans(), st.floats(0, 0.5), st.floats(1, 3))
def test_shares_add_up_to_what_is_left(
    budget: float, baseline: bool, spent: float, slowness: float
) -> None:
    spent *= budget
    shares = share(budget, baseline=baseline, spent=spent, slowness=slowness)
    assert sum(shares) == pytest.approx(budget - spent)
    assert min(shares) >= 0
    assert shares.baseline <= budget / 3
    assert (shares.baseline > 0) == baseline


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
