"""Ranking statistics against their definitions, pair by pair."""

import math
import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascence.metrics import kendall_tau, spearman, top_kendall_tau

values = st.one_of(st.integers(-3, 3), st.floats(allow_nan=False))
pairs = st.lists(st.tuples(values, values), min_size=2, max_size=40)


def sign(first: float, second: float) -> int:
    return (first > second) - (first < second)


def slow_tau(x: list[float], y: list[float]) -> float:
    signs = [(sign(x[i], x[j]), sign(y[i], y[j])) for i, j in combinations(range(len(x)), 2)]
    untied_x, untied_y = (sum(pair[side] != 0 for pair in signs) for side in (0, 1))
    if not untied_x or not untied_y:
        return math.nan
    return sum(a * b for a, b in signs) / math.sqrt(untied_x) / math.sqrt(untied_y)


def slow_ranks(x: list[float]) -> list[float]:
    return [sum(b < a for b in x) + (sum(b == a for b in x) + 1) / 2 for a in x]


@given(pairs=pairs)
def test_tau_is_that_of_all_pairs(pairs: list[tuple[float, float]]) -> None:
    x, y = ([pair[side] for pair in pairs] for side in (0, 1))
    assert kendall_tau(x, y) == pytest.approx(slow_tau(x, y), nan_ok=True)
    assert kendall_tau(y, x) == pytest.approx(kendall_tau(x, y), nan_ok=True)


@given(pairs=pairs)
def test_rho_is_the_correlation_of_mean_ranks(pairs: list[tuple[float, float]]) -> None:
    x, y = ([pair[side] for pair in pairs] for side in (0, 1))
    ranks = [slow_ranks(x), slow_ranks(y)]
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(spearman(x, y))
    else:
        assert spearman(x, y) == pytest.approx(np.corrcoef(ranks)[0, 1])


def test_hand_worked_values() -> None:
    # Four pairs of six agree, two disagree; with one tie, five of the pairs remain in a list.
    assert kendall_tau([1, 2, 3, 4], [1, 3, 4, 2]) == pytest.approx((4 - 2) / 6)
    assert kendall_tau([1, 1, 2, 3], [1, 2, 3, 4]) == pytest.approx(5 / math.sqrt(5 * 6))
    assert kendall_tau([1, 2], [2, 1]) == -1
    assert spearman([1, 2, 3], [10, 100, 1000]) == pytest.approx(1)


@given(pairs=pairs, fraction=st.floats(0.01, 1))
def test_top_tau_is_that_of_the_best_by_truth(
    pairs: list[tuple[float, float]], fraction: float
) -> None:
    x, y = ([pair[side] for pair in pairs] for side in (0, 1))
    last = sorted(y, reverse=True)[max(2, math.ceil(fraction * len(x))) - 1]
    best = [place for place, value in enumerate(y) if value >= last]
    expected = slow_tau([x[i] for i in best], [y[i] for i in best])
    assert top_kendall_tau(x, y, fraction=fraction) == pytest.approx(expected, nan_ok=True)


def test_a_whole_benchmark_takes_a_moment() -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 5000, 15625)
    y = x + generator.normal(0, 3000, 15625)
    start = time.process_time()
    tau = kendall_tau(x, y)
    assert time.process_time() - start < 0.5
    # For normally distributed values, tau = 2 / pi arcsin(rho); these are nearly so.
    assert tau == pytest.approx(2 / math.pi * math.asin(np.corrcoef(x, y)[0, 1]), abs=0.03)


def test_wrong_lists_are_refused() -> None:
    for x, y in (([1, 2], [1, 2, 3]), ([1], [1]), ([], []), ([[1, 2]], [[1, 2]])):
        with pytest.raises(ValueError, match="the lists have the shapes"):
            kendall_tau(x, y)
    with pytest.raises(ValueError, match="NaN"):
        spearman([1, math.nan], [1, 2])
    with pytest.raises(ValueError, match="fraction is 0"):
        top_kendall_tau([1, 2], [1, 2], fraction=0)
