"""Schedules at their ends and between."""

import math
from itertools import pairwise

import pytest

from nascence.hypernet.schedule import SCHEDULES, rate


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_warm_up_is_linear(schedule: str) -> None:
    shares = [rate(schedule, step, 100, 10) for step in range(10)]
    assert shares == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rate(schedule, 0, 3, 10) == 1.0  # of one step, a half of three


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_shares_never_rise_after_it(schedule: str) -> None:
    shares = [rate(schedule, step, 100, 10) for step in range(10, 100)]
    assert all(0 <= later <= earlier <= 1 for earlier, later in pairwise(shares))


def test_values_and_ends() -> None:
    assert rate("constant", 10**9, 100, 10) == 1.0
    assert rate("cosine", 55, 100, 10) == pytest.approx(0.5)
    assert rate("decay", 0, 100, 10) == 1.0  # goes on from a constant run, without a warm-up
    assert rate("decay", 25, 100, 10) == pytest.approx(0.5)  # 1 - sqrt(1/4)
    assert rate("decay", 99, 100, 10) == pytest.approx(1 - math.sqrt(0.99))
