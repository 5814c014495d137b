"""How failures are reported."""

import warnings

import pytest
import torch

from nascence.implicit import ConvergenceError, ConvergenceWarning, Solution, Status
from nascence.implicit.solution import report


def solution(*status: Status) -> Solution:
    count = len(status)
    return Solution(
        torch.zeros(count, 1), torch.full((count,), 0.5), 7, torch.tensor(status), torch.zeros(0)
    )


def test_the_worst_is_said() -> None:
    found = solution(Status.STALLED, Status.NON_FINITE, Status.CONVERGED)
    assert found.converged.tolist() == [False, False, True]
    with pytest.warns(ConvergenceWarning, match="it is non-finite in some"):
        report(found, strict=False, warn=False, what="it")
    with pytest.raises(ConvergenceError, match=r"1 of 3 samples \(1\) after 7 evaluations"):
        report(found, strict=True, warn=True, what="it")


def test_what_is_no_news_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report(solution(Status.STALLED), strict=False, warn=False, what="it")
        report(solution(Status.CONVERGED), strict=True, warn=True, what="it")
        report(solution(Status.UNCHECKED), strict=True, warn=True, what="it")
