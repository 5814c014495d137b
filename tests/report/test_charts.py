"""Figures of the charts: every candidate, no value that JSON lacks, matrices of any size."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascence.report import CandidatePoint, ReportContents
from nascence.report.charts import (
    MOST_CANDIDATES,
    MOST_CELLS,
    MOST_POINTS,
    candidate_figure,
    confusion_figure,
    curve_figure,
    frontier,
    thinned,
    wrap,
)

points = st.lists(
    st.builds(
        CandidatePoint,
        name=st.text(max_size=5),
        score=st.floats(-10, 10),
        parameters=st.integers(1, 20),
        macs=st.integers(1, 20),
        chosen=st.booleans(),
    ),
    max_size=20,
)


@given(points, st.sampled_from(["parameters", "macs"]))
def test_the_frontier_holds_what_no_smaller_candidate_beats(
    candidates: list[CandidatePoint], size: str
) -> None:
    best = frontier(candidates, size)
    for point in candidates:
        rivals = [p.score for p in best if getattr(p, size) <= getattr(point, size)]
        assert max(rivals) >= point.score
    for a, b in pairwise(best):
        assert a.score < b.score
        assert getattr(a, size) < getattr(b, size)


def test_every_finite_candidate_is_drawn_and_the_chosen_one_apart() -> None:
    scores = [1.0, math.nan, 3.0, -math.inf, 2.0]
    candidates = [CandidatePoint(str(i), s, 10, 20, i == 4) for i, s in enumerate(scores)]
    figure = candidate_figure(candidates, "score")
    json.dumps(figure, allow_nan=False)
    by_name = {trace["name"]: trace for trace in figure["data"]}
    assert by_name["candidate"]["y"] == [3.0, 1.0]
    assert by_name["candidate"]["customdata"] == [[10, 20], [10, 20]]
    assert by_name["chosen"]["y"] == [2.0]


def test_too_many_candidates_keep_the_chosen_and_the_best() -> None:
    many = [CandidatePoint("", float(i), 1, 1, i == 0) for i in range(MOST_CANDIDATES + 5)]
    figure = candidate_figure(many, "score")
    assert len(figure["data"][0]["y"]) == MOST_CANDIDATES
    assert min(figure["data"][0]["y"]) == 5.0
    assert figure["data"][-1]["y"] == [0.0]


def test_a_long_frontier_is_thinned_to_its_ends() -> None:
    rising = [CandidatePoint("", float(i), i + 1, 1, False) for i in range(10 * MOST_POINTS)]
    line = candidate_figure(rising, "score")["data"][1]
    assert len(line["y"]) <= MOST_POINTS
    assert line["y"][-1] == rising[-1].score


def test_scores_over_many_decades_are_drawn_by_their_logarithm() -> None:
    def axis(scores: list[float]) -> str:
        candidates = [CandidatePoint("", score, 1, 1, False) for score in scores]
        return candidate_figure(candidates, "score")["layout"]["yaxis"]["type"]

    assert axis([1.0, 1e30]) == "log"
    assert axis([1.0, 50.0]) == "linear"
    assert axis([-1.0, 1e30]) == "linear"


@given(st.integers(1, 3 * MOST_POINTS))
def test_a_thinned_curve_keeps_its_end(length: int) -> None:
    indices = thinned(length)
    assert indices[-1] == length - 1
    assert len(indices) <= MOST_POINTS
    assert len(set(np.diff(indices))) <= 1


def test_what_a_curve_lacks_is_null(contents: ReportContents) -> None:
    figure = curve_figure(contents.curves, "train_loss")
    assert figure["data"][0]["y"][0] is None
    assert figure["data"][0]["customdata"][3] == [300, 12.0]


@pytest.mark.parametrize("classes", [1, 2, 12, 13, 100, 101, 1000])
def test_a_confusion_matrix_of_any_size_is_drawn_small(classes: int) -> None:
    confusion = np.eye(classes, dtype=int) * 5
    figure = confusion_figure(confusion, [f"class {i}" for i in range(classes)])
    heat = figure["data"][0]
    assert len(heat["z"]) == len(heat["names"]) <= MOST_CELLS
    assert sum(map(sum, heat["customdata"])) == 5 * classes
    assert ("text" in heat) == (classes <= 12)
    assert len(figure["layout"]["xaxis"]["tickvals"]) <= 25
    json.dumps(figure, allow_nan=False)


def test_names_from_outside_are_plain_text_to_plotly() -> None:
    names = ["<b>bold</b> &amp;", "x" * 500]
    figure = confusion_figure(np.eye(2, dtype=int), names)
    shown = json.dumps(figure)
    assert "<b>" not in shown
    assert "&lt;b&gt;bold&lt;/b&gt; &amp;amp;" in shown
    assert max(map(len, figure["layout"]["xaxis"]["ticktext"])) < 60
    assert wrap("|a~0|+|b~0|c~1|") == "|a~0|+<br>|b~0|c~1|"
