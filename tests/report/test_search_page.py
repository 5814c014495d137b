"""The report of a search: what it draws, and that it loads nothing."""

import json
import re
from typing import Any

from nascence.report.search_page import front_figure, progress_figure, render_search
from nascence.search import Candidate, History, ranking_report
from nascence.spaces import NB201

SCORES = (1.0, 3.0, float("-inf"), 2.0, 5.0, 4.0)
COSTS = (1.0, 9.0, 0.5, 2.0, 9.0, 3.0)
HISTORY = History(
    tuple(
        Candidate((0, 0, 0, 0, 0, number % 5), score, 0.1, number, (cost,))
        for number, (score, cost) in enumerate(zip(SCORES, COSTS, strict=True))
    ),
    costs=("<macs>",),
)
FOUND: dict[str, Any] = {
    "space": NB201(),
    "history": HISTORY,
    "drawn": HISTORY,
    "rankings": ranking_report({"score": [1.0, 2.0]}, [3.0, 4.0], baselines={}),
    "truth": 93.5,
}


def test_best_so_far_is_a_staircase() -> None:
    points, line = progress_figure(HISTORY)["data"]
    assert line["x"] == [1, 2, 5, 6]
    assert line["y"] == [1.0, 3.0, 5.0, 5.0]
    assert points["y"][2] is None
    assert points["x"] == [1, 2, 3, 4, 5, 6]


def test_the_front_stands_out() -> None:
    candidates, front = front_figure(HISTORY, [str(number) for number in range(6)])["data"]
    assert sorted(front["y"]) == [1.0, 2.0, 4.0, 5.0]
    assert candidates["y"] == [3.0]
    assert front["customdata"] == [[9.0], [3.0], [2.0], [1.0]] or len(front["customdata"]) == 4


def test_the_page_holds_everything_and_escapes() -> None:
    page = render_search(title="<script>alert(1)</script>", **FOUND)
    assert "<script>alert(1)" not in page
    assert "93.50 %" in page
    assert "&lt;macs&gt;" in page
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!#)', outside)
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL).group(1))  # type: ignore[union-attr]
    assert set(figures) == {"progress", "front"}
    for name in figures:
        assert f'id="chart-{name}"' in page


def test_a_search_without_trials_has_a_page() -> None:
    empty = History(())
    page = render_search(title="none", space=NB201(), history=empty, drawn=empty)
    assert "0</span>" not in page
