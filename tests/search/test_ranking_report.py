"""The report of a ranking, on cases whose answers can be counted."""

import math

import numpy as np
import pytest

from nascence.metrics import kendall_tau
from nascence.search import ranking_report, ranking_table


def test_a_perfect_score_and_a_reversed_one() -> None:
    truth = np.arange(100.0)
    good, bad = ranking_report({"good": truth * 2}, truth, baselines={"bad": -truth})
    assert (good.name, good.tau, good.choice, good.best) == ("good", 1.0, 99.0, 99.0)
    assert (bad.tau, bad.choice, bad.choice_of_top) == (-1.0, 0.0, 49.0)
    assert list(good.top.values()) == pytest.approx([1.0] * 3)


def test_figures_of_the_top_are_of_the_truly_best() -> None:
    """Right in the lower half, reversed in the upper one."""
    truth = np.arange(100.0)
    scores = np.where(truth < 50, truth, 149 - truth)
    report = ranking_report({"score": scores}, truth, baselines={})[0]
    assert report.top[0.5] == report.top[0.2] == -1.0
    assert report.tau == pytest.approx(kendall_tau(scores, truth))
    assert report.choice == 50.0


def test_the_choice_among_ties_is_their_mean() -> None:
    report = ranking_report({"score": [1, 1, 0]}, [10.0, 20.0, 90.0], baselines={})[0]
    assert report.choice == 15.0
    assert report.best == 90.0
    constant = ranking_report({"score": [1, 1, 1]}, [1.0, 2.0, 3.0], baselines={})[0]
    assert math.isnan(constant.tau)
    assert constant.choice == 2.0


def test_rows_of_text() -> None:
    heading, row = ranking_table(ranking_report({"a": [1, 2]}, [1.0, 2.0], baselines={}))
    assert len(heading) == len(row)
    assert row[0] == "a"


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="the lists have the shapes"):
        ranking_report({"a": [1, 2, 3]}, [1.0, 2.0], baselines={})
