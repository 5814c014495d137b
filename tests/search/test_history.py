"""The best of a history."""

import pytest

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
