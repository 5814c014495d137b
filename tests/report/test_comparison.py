"""The headline: published intervals, and words that agree with the figures."""

import math
from dataclasses import replace

import pytest

from nascence.report import ReportContents
from nascence.report.comparison import (
    accuracy_interval,
    accuracy_verdict,
    cards,
    cost_verdict,
    difference_interval,
    lead,
    rows,
)


def test_wilson_interval_of_newcombe_1998() -> None:
    """Newcombe (1998), Statistics in Medicine 17, 857-872, table I: 81/263 and 0/20."""
    assert accuracy_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert accuracy_interval(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_difference_interval_is_antisymmetric_and_bounded() -> None:
    for first, second in ((1.0, 1.0), (0.0, 1.0), (0.9, 0.85)):
        lower, upper = difference_interval(first, second, 50)
        assert -1 <= lower <= first - second <= upper <= 1
        assert difference_interval(second, first, 50) == pytest.approx((-upper, -lower))


def test_a_small_difference_is_called_noise(contents: ReportContents) -> None:
    near = replace(contents.designed, accuracy=0.71)
    assert contents.baseline is not None
    assert accuracy_verdict(near, contents.baseline, 300).tone == "even"
    assert accuracy_verdict(near, contents.baseline, 30_000).tone == "good"
    assert accuracy_verdict(contents.baseline, near, 30_000).tone == "bad"
    assert "cannot be told apart" in lead(replace(contents, designed=near))


@pytest.mark.parametrize(
    ("designed", "baseline", "text", "tone"),
    [
        (1, 2, "2.00× fewer", "good"),
        (3, 2, "1.50× as many", "bad"),
        (101, 100, "level", "even"),
        (math.nan, 1, "–", "even"),
        (0, 1, "–", "even"),
    ],
)
def test_costs_are_ratios(designed: float, baseline: float, text: str, tone: str) -> None:
    assert cost_verdict(designed, baseline, "fewer", "as many") == (text, tone)


def test_the_lead_says_better_or_worse(contents: ReportContents) -> None:
    assert contents.baseline is not None
    better = lead(contents)
    assert "19.0 points above the hand-designed ResNet-8" in better
    assert "2.00× fewer parameters and 2.00× as many multiply-adds" in better
    worse = lead(replace(contents, designed=contents.baseline, baseline=contents.designed))
    assert "19.0 points below" in worse


def test_latency_is_that_of_the_folded_network(contents: ReportContents) -> None:
    card = cards(contents)[3]
    assert card.value.split() == ["3.00", "ms"]
    assert "4.00" in card.detail
    assert "25" in card.detail
    assert card.verdict == ("level", "even")


def test_without_a_baseline_nothing_is_compared(contents: ReportContents) -> None:
    alone = replace(contents, baseline=None)
    assert rows(alone) == []
    assert all(card.verdict is None for card in cards(alone))
    assert "hand-designed" not in lead(alone)
