"""The report of a search: best score so far, Pareto front, ranking, in one HTML file."""

import math
from pathlib import Path

from nascence.jobs.search import Outcome, best_so_far
from nascence.report.charts import (
    Figure,
    axis_of,
    layout_of,
    number,
    thinned,
    wrap,
)
from nascence.report.page import put, render_page
from nascence.search.history import Candidate, History
from nascence.search.ranking_report import ranking_table

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


def render_search(outcome: Outcome, *, title: str) -> str:
    """Render the report of a search as one HTML document; every string from outside is escaped."""
    history, drawn = outcome.history, outcome.sizes
    names = [outcome.space.format(each.architecture) for each in history.candidates]
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
        space=outcome.space.description,
        trials=len(history),
        best=history.best if len(history) else None,
        truth=outcome.truth,
        names=names,
        ranked=sorted(history.candidates, key=lambda each: sign * each.score)[:LISTED],
        front=sorted(drawn.front(), key=lambda each: each.costs) if drawn.costs else [],
        costs=drawn.costs,
        ranking=ranking_table(outcome.rankings) if outcome.rankings else [],
    )


def write_search(outcome: Outcome, path: Path, *, title: str) -> None:
    """Write the report of a search; see :func:`nascence.report.page.put`."""
    put(render_search(outcome, title=title), path)
