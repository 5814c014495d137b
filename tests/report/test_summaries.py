"""Charts in words agree with their figures."""

import math
from dataclasses import replace

from nascence.report import CandidatePoint, ReportContents
from nascence.report.summaries import candidates_summary, curves_summary


def test_the_chosen_candidate_has_its_rank() -> None:
    scores = [1.0, math.nan, 3.0, -math.inf, 2.0]
    candidates = [CandidatePoint(str(i), s, 10 + i, 20, i == 4) for i, s in enumerate(scores)]
    words = candidates_summary(candidates, "synflow")
    assert words.startswith("synflow against size of 3 candidates with 10 to 14 parameters")
    assert "best score is 3." in words
    assert "The chosen one scores 2, rank 2." in words
    assert candidates_summary(candidates[1:2], "synflow") == "No candidate has a finite score."


def test_a_curve_ends_at_its_last_measured_value(contents: ReportContents) -> None:
    first = contents.curves[0]
    broken = replace(first, accuracy=(*first.accuracy[:-1], math.nan), name="broken")
    words = curves_summary((first, broken), "accuracy").replace("\N{NO-BREAK SPACE}", " ")
    assert "designed ends at 80.0 %; broken ends at 72.0 %" in words
    nothing = replace(first, train_loss=(math.nan,) * len(first.steps))
    assert "Nothing was measured" in curves_summary((nothing,), "train_loss")
