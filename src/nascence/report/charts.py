"""The charts as plotly figures in plain lists and dictionaries.

A colour is the name of a CSS property of the page (``--series-0``), which the page replaces by
that property's value, so that a chart follows the light and the dark scheme. A figure's ``views``
are the choices of its horizontal axis: which column of ``customdata`` to draw along it.
"""

import math
import re
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from nascence.report.confusion import downsample, row_shares
from nascence.report.contents import CandidatePoint, Curve
from nascence.report.formatting import count, shorten

MOST_CANDIDATES = 10_000
NAMED_CANDIDATES = 1_000
MOST_POINTS = 400
"""Points of one line; a longer one is thinned."""
MOST_CELLS = 100
"""Rows of the drawn confusion matrix; with more classes, neighbours are summed."""
SERIES_COLOURS = 6
DASHES = ("solid", "dash", "dot", "dashdot")

Figure = dict[str, Any]


def text(value: str) -> str:
    """A string from outside as plotly text, which knows entities and a few HTML tags."""
    return escape(value, quote=False)


def wrap(value: str, width: int = 52) -> str:
    """``value`` as plotly text, in lines of ``width`` characters, a cell's nodes on their own."""
    nodes = re.split(r"(?<=\|\+)(?=\|)", value[:400])
    lines = [node[i : i + width] for node in nodes for i in range(0, len(node), width)]
    return "<br>".join(text(line) for line in lines)


def number(value: float) -> float | None:
    """JSON knows neither nan nor infinity: they become null, which plotly leaves out."""
    return float(value) if math.isfinite(value) else None


def axis_of(title: str, **settings: Any) -> Figure:
    """An axis in the colours of the page."""
    return {
        "title": {"text": text(title), "standoff": 10, "font": {"size": 13}},
        "automargin": True,
        "gridcolor": "--line",
        "zeroline": False,
        "linecolor": "--line-strong",
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "--line-strong",
        **settings,
    }


def layout_of(height: int, **settings: Any) -> Figure:
    """A layout of that height in pixels, in the colours of the page."""
    return {
        "height": height,
        "autosize": True,
        "margin": {"l": 56, "r": 16, "t": 36, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, 'Segoe UI', sans-serif", "size": 12, "color": "--muted"},
        "hoverlabel": {
            "bgcolor": "--raised",
            "bordercolor": "--line-strong",
            "font": {"color": "--ink", "size": 12},
            "align": "left",
            "namelength": -1,
        },
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": "--muted",
            "activecolor": "--accent",
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"},
        **settings,
    }


def _wide_range(values: Sequence[float]) -> bool:
    """Whether positive values span so many decades that only a logarithm shows them."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > 1e4


def drawn_candidates(candidates: Sequence[CandidatePoint]) -> list[CandidatePoint]:
    """Those with a finite score, best first: the chosen and at most 10,000 others."""
    finite = [point for point in candidates if math.isfinite(point.score)]
    finite.sort(key=lambda point: -point.score)
    others = [point for point in finite if not point.chosen][:MOST_CANDIDATES]
    return [point for point in finite if point.chosen] + others


def frontier(points: Sequence[CandidatePoint], size: str) -> list[CandidatePoint]:
    """The candidates that beat every smaller one, smallest first; ``size`` names the field."""
    best: list[CandidatePoint] = []
    for point in sorted(points, key=lambda point: (getattr(point, size), -point.score)):
        if not best or point.score > best[-1].score:
            best.append(point)
    return best


def _points(points: Sequence[CandidatePoint], **settings: Any) -> Figure:
    return {
        "type": "scatter",
        "y": [point.score for point in points],
        "customdata": [[point.parameters, point.macs] for point in points],
        "text": [wrap(point.name) for point in points[:NAMED_CANDIDATES]],
        "hovertemplate": "%{text}<br><b>%{y:.4g}</b> · %{customdata[0]:,} parameters"
        " · %{customdata[1]:,} multiply-adds<extra></extra>",
        **settings,
    }


def candidate_figure(candidates: Sequence[CandidatePoint], score_name: str) -> Figure:
    """Score against size: every candidate, the best for each size, and the chosen one."""
    drawn = drawn_candidates(candidates)
    chosen = [point for point in drawn if point.chosen]
    others = [point for point in drawn if not point.chosen]
    traces = [
        _points(
            others,
            name="candidate",
            mode="markers",
            marker={"color": "--series-0", "size": 8 if len(others) < 500 else 5, "opacity": 0.5},
        )
    ]
    for size in ("parameters", "macs"):
        best = frontier(drawn, size)
        line = [best[index] for index in thinned(len(best))]
        traces.append(
            {
                "type": "scatter",
                "y": [point.score for point in line],
                "customdata": [[point.parameters, point.macs] for point in line],
                "name": "best at its size",
                "mode": "lines",
                "line": {"color": "--muted", "width": 1.5, "shape": "hv", "dash": "dot"},
                "hoverinfo": "skip",
            }
        )
    traces.append(
        _points(
            chosen,
            name="chosen",
            mode="markers",
            cliponaxis=False,
            marker={
                "color": "--series-1",
                "size": 18,
                "symbol": "star",
                "line": {"color": "--surface", "width": 1.5},
            },
        )
    )
    views = []
    for column, (label, title, hidden) in enumerate(
        (
            ("Parameters", "parameters", [2]),
            ("Multiply-adds", "multiply-adds of one image", [1]),
        )
    ):
        sizes = [(point.parameters, point.macs)[column] for point in drawn]
        logarithmic = bool(sizes) and min(sizes) > 0 and max(sizes) > 3 * min(sizes)
        axis = axis_of(title, tickformat="~s", type="log" if logarithmic else "linear")
        if logarithmic:
            axis["dtick"] = "D2" if max(sizes) < 100 * min(sizes) else 1
        elif len(set(sizes)) == 1 and sizes[0] > 0:
            axis["range"] = [0, 2 * sizes[0]]
        views.append({"label": label, "column": column, "hidden": hidden, "xaxis": axis})
    score = "log" if _wide_range([point.score for point in drawn]) else "linear"
    layout = layout_of(
        420, yaxis=axis_of(score_name, type=score, exponentformat="power"), hovermode="closest"
    )
    return {"data": traces, "layout": layout, "views": views}


def thinned(length: int) -> list[int]:
    """Indices of at most 400 of ``length`` points, the last always among them."""
    stride = max(1, math.ceil(length / MOST_POINTS))
    return [index for index in range(length) if (length - 1 - index) % stride == 0]


def curve_figure(curves: Sequence[Curve], field: str) -> Figure:
    """Learning curves of ``field``, ``accuracy`` or ``train_loss``, over steps or seconds."""
    traces = []
    for order, curve in enumerate(curves):
        chosen = thinned(len(curve.steps))
        values = getattr(curve, field)
        unit = "%{y:.1%}" if field == "accuracy" else "%{y:.4g}"
        traces.append(
            {
                "type": "scatter",
                "name": text(shorten(curve.name, 40)),
                "mode": "lines+markers" if len(chosen) <= 40 else "lines",
                "y": [number(values[index]) for index in chosen],
                "customdata": [
                    [curve.steps[index], number(curve.seconds[index])] for index in chosen
                ],
                "line": {
                    "color": f"--series-{order % SERIES_COLOURS}",
                    "width": 2,
                    "dash": DASHES[order // SERIES_COLOURS % len(DASHES)],
                },
                "marker": {"size": 5},
                "connectgaps": True,
                "hovertemplate": f"<b>%{{fullData.name}}</b><br>{unit} at step "
                "%{customdata[0]:,}, %{customdata[1]:,.4~g} s<extra></extra>",
            }
        )
    losses = [v for curve in curves for v in curve.train_loss if math.isfinite(v)]
    axis = (
        axis_of("", tickformat=".0%")
        if field == "accuracy"
        else axis_of("", type="log" if _wide_range(losses) else "linear")
    )
    views = [
        {"label": "Steps", "column": 0, "xaxis": axis_of("training step", rangemode="tozero")},
        {
            "label": "Seconds",
            "column": 1,
            "xaxis": axis_of("seconds of training", rangemode="tozero"),
        },
    ]
    return {
        "data": traces,
        "layout": layout_of(340, yaxis=axis, hovermode="closest"),
        "views": views,
    }


def _groups(classes: Sequence[str], block: int) -> list[str]:
    """What each row of the drawn matrix is called."""
    if block == 1:
        return list(classes)
    names = []
    for first in range(0, len(classes), block):
        last = min(first + block, len(classes)) - 1
        names.append(f"{shorten(classes[first], 24)} to {shorten(classes[last], 24)}")
    return names


def matrix_block(classes: int) -> int:
    """How many neighbouring classes one row of the drawn confusion matrix sums."""
    return max(1, math.ceil(classes / MOST_CELLS))


def confusion_figure(confusion: np.ndarray, classes: Sequence[str]) -> Figure:
    """Counts ``(K, K)`` as a heat map of each row's shares, counts on the cells if they fit."""
    block = matrix_block(len(classes))
    counts = downsample(confusion, block)
    shares = row_shares(counts)
    names, size = _groups(classes, block), len(counts)
    ticks = list(range(0, size, max(1, math.ceil(size / 25))))
    labels = [
        text(shorten(names[tick], 18)) if block == 1 else f"{tick * block + 1:,}" for tick in ticks
    ]
    unit = "" if block == 1 else ", number of the class"
    heat: Figure = {
        "type": "heatmap",
        "z": [[number(value) for value in row] for row in shares],
        "x": list(range(size)),
        "y": list(range(size)),
        "customdata": counts.tolist(),
        # Mistakes are a few percent of a class: the lower end of the scale is spread out.
        "colorscale": [
            [0, "--heat-0"],
            [0.02, "--heat-1"],
            [0.1, "--heat-2"],
            [0.35, "--heat-3"],
            [1, "--heat-4"],
        ],
        "zmin": 0,
        "zmax": 1,
        "xgap": 1 if size <= 40 else 0,
        "ygap": 1 if size <= 40 else 0,
        "hoverongaps": False,
        "colorbar": {
            "tickformat": ".0%",
            "thickness": 10,
            "outlinewidth": 0,
            "len": 0.9,
        },
        "names": [wrap(name) for name in names],
    }
    if size <= 12:
        heat["text"] = [[count(value) if value else "" for value in row] for row in counts]
        heat["texttemplate"] = "%{text}"
    ticked = {"tickvals": ticks, "ticktext": labels, "showgrid": False, "ticks": ""}
    layout = layout_of(
        max(360, min(640, 120 + 40 * size)),
        xaxis=axis_of(
            f"predicted{unit}", side="bottom", tickangle=0 if size <= 4 else -45, **ticked
        ),
        yaxis=axis_of(f"truth{unit}", autorange="reversed", **ticked),
    )
    return {"data": [heat], "layout": layout}
