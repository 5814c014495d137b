"""The report of a search: best score so far, Pareto front, ranking, in one HTML file."""

import math

from nascence.report.charts import (
    Figure,
    axis_of,
    layout_of,
    number,
    thinned,
    wrap,
)
from nascence.report.page import render_page
from nascence.search.history import Candidate, History
from nascence.search.ranking_report import Ranking, ranking_table
from nascence.spaces import SearchSpace

LISTED = 20
MOST_POINTS = 5_000


def progress_figure(history: History) -> Figure:
    """Best score so far, and every score, over trials."""
    best = best_so_far(history)
    line = [place for place in range(len(best)) if _is_corner(best, place)]
    places = thinned(len(best))
    return {
        "data": [
            {
                "type": "scatter",
                "name": "score",
                "mode": "markers",
                "x": [place + 1 for place in places],
                "y": [number(history.candidates[place].score) for place in places],
                "marker": {"color": "--series-0", "size": 5, "opacity": 0.4},
            },
            {
                "type": "scatter",
                "name": "best so far",
                "mode": "lines",
                "x": [place + 1 for place in line],
                "y": [number(best[place]) for place in line],
                "line": {"color": "--series-1", "width": 2, "shape": "hv"},
            },
        ],
        "layout": layout_of(
            380, xaxis=axis_of("architectures scored", rangemode="tozero"), yaxis=axis_of("score")
        ),
    }


def _is_corner(best: list[float], place: int) -> bool:
    return place in (0, len(best) - 1) or best[place] != best[place - 1]


def front_figure(history: History, names: list[str]) -> Figure:
    """Score against each cost: every candidate, and those on the Pareto front of all."""
    front = set(history.front())
    finite = [each for each in history.candidates if math.isfinite(each.score)]
    shown = [each for each in finite if each not in front][:MOST_POINTS]
    on_front = [each for each in finite if each in front]

    def points(candidates: list[Candidate], name: str, colour: str, size: int) -> Figure:
        return {
            "type": "scatter",
            "name": name,
            "mode": "markers",
            "y": [each.score for each in candidates],
            "customdata": [list(each.costs) for each in candidates],
            "text": [wrap(names[each.number]) for each in candidates],
            "hovertemplate": "%{text}<br><b>%{y:.5g}</b> at %{x:,.5~g}<extra></extra>",
            "marker": {"color": colour, "size": size, "opacity": 0.45 if size < 8 else 1},
        }

    return {
        "data": [
            points(shown, "candidate", "--series-0", 6),
            points(on_front, "Pareto front", "--series-1", 9),
        ],
        "layout": layout_of(420, yaxis=axis_of("score"), hovermode="closest"),
        "views": [
            {"label": name, "column": column, "xaxis": axis_of(name, tickformat="~s")}
            for column, name in enumerate(history.costs)
        ],
    }


def best_so_far(history: History) -> list[float]:
    """Return the best score after every trial."""
    best, found = -math.inf, []
    sign = 1 if history.direction == "maximize" else -1
    for candidate in history.candidates:
        best = max(best, sign * candidate.score)
        found.append(sign * best)
    return found


def render_search(
    *,
    title: str,
    space: SearchSpace,
    history: History,
    drawn: History,
    rankings: tuple[Ranking, ...] = (),
    truth: float | None = None,
) -> str:
    """Return the report as one HTML document; every string from outside is escaped in its place.

    Args:
        title: Of the page.
        space: The space that was searched.
        history: All candidates.
        drawn: The history with the costs to draw the score against.
        rankings: How well the scores rank, if it is known.
        truth: Accuracy of the best candidate in percent, if it is known.
    """
    names = [space.format(each.architecture) for each in history.candidates]
    figures: dict[str, Figure] = {}
    if any(math.isfinite(each.score) for each in history.candidates):
        figures["progress"] = progress_figure(history)
        if drawn.costs:
            figures["front"] = front_figure(drawn, names)
    sign = -1 if history.direction == "maximize" else 1
    return render_page(
        "search.html.j2",
        figures,
        title=title,
        space=space.description,
        trials=len(history),
        best=history.best if len(history) else None,
        truth=truth,
        names=names,
        ranked=sorted(history.candidates, key=lambda each: sign * each.score)[:LISTED],
        front=sorted(drawn.front(), key=lambda each: each.costs) if drawn.costs else [],
        costs=drawn.costs,
        ranking=ranking_table(rankings) if rankings else [],
    )
