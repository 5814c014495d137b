"""The best of a history."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.search import Candidate, History

SCORES = (1.0, 3.0, float("-inf"), 3.0)
CANDIDATES = tuple(Candidate((n,), score, 0.1 * n, n) for n, score in enumerate(SCORES))


def test_best_is_the_first_of_equals() -> None:
    assert History(CANDIDATES).best.number == 1
    assert History(CANDIDATES, "minimize").best.number == 2
    assert len(History(CANDIDATES)) == 4


def test_empty_history_has_no_best() -> None:
    with pytest.raises(ValueError, match="the history is empty"):
        _ = History(()).best


def test_times_do_not_tell_candidates_apart() -> None:
    assert Candidate((1,), 2.0, 0.5, 0) == Candidate((1,), 2.0, 0.7, 0)
    assert Candidate((1,), 2.0, 0.5, 0) != Candidate((1,), 2.1, 0.5, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_the_front_is_what_nothing_dominates(points: list[tuple[int, int, int]]) -> None:
    candidates = tuple(
        Candidate((number,), float(score), 0.0, number, tuple(map(float, costs)))
        for number, (score, *costs) in enumerate(points)
    )
    front = History(candidates, costs=("a", "b")).front()
    values = {(each.score, *each.costs) for each in front}
    assert len(values) == len(front)
    for each in candidates:
        point = (-each.score, *each.costs)
        dominated = any(
            all(a <= b for a, b in zip((-o.score, *o.costs), point, strict=True))
            and (-o.score, *o.costs) != point
            for o in candidates
        )
        assert ((each.score, *each.costs) in values) == (not dominated)
