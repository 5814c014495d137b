"""The pages of a comparison of optimizers and of the probe of implicit regularisation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nascence.optim.compare.probe import Probe
from nascence.optim.compare.standings import ALL, Standing
from nascence.report.charts import (
    DASHES,
    SERIES_COLOURS,
    Figure,
    axis_of,
    layout_of,
    number,
    text,
)
from nascence.report.formatting import percent
from nascence.report.page import put, render_page

MOST_POINTS = 2_000
"""Points of one box; with more, only those far out are drawn."""
DRAWN_STEPS = 200
"""Points of one trajectory."""
NORMALISED = "normalised test loss: 0 the best by hand, 1 no progress"


class Section(NamedTuple):
    """A part of a page: a chart in words and a table beneath it."""

    key: str
    title: str
    caption: str
    summary: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def box_figure(standings: Sequence[Standing]) -> Figure:
    """Normalised losses of each optimizer as a box, from above in the order given."""
    names = list(dict.fromkeys(each.name for each in standings))
    traces = []
    for each in standings:
        colour = f"--series-{names.index(each.name) % SERIES_COLOURS}"
        few = len(each.losses) <= MOST_POINTS
        traces.append(
            {
                "type": "box",
                "orientation": "h",
                "name": text(each.label),
                "x": [number(loss) for loss in each.losses],
                "boxpoints": "all" if few else "outliers",
                "jitter": 0.5,
                "pointpos": 0,
                "marker": {"color": colour, "size": 3, "opacity": 0.45},
                "line": {"color": colour, "width": 1.5},
                "fillcolor": "rgba(0,0,0,0)",
                "hoverinfo": "x+name",
                "showlegend": False,
            }
        )
    layout = layout_of(
        110 + 44 * len(traces),
        xaxis=axis_of(NORMALISED),
        yaxis=axis_of("", autorange="reversed", showgrid=False, ticks=""),
    )
    return {"data": traces, "layout": layout}


def probe_figure(probes: Mapping[str, Probe]) -> Figure:
    """Trajectories of every optimizer in the plane, the valley, and where they began and ended."""
    found = list(probes.values())
    reach = max((probe.trajectories[:, 0].abs().max().item() for probe in found), default=1.0)
    traces: list[Figure] = [
        {
            "type": "scatter",
            "name": "least loss",
            "mode": "lines",
            "x": [-reach, reach],
            "y": [-reach, reach],
            "line": {"color": "--muted", "width": 1.5, "dash": "dot"},
            "hoverinfo": "skip",
        }
    ]
    for order, (name, probe) in enumerate(probes.items()):
        colour = f"--series-{order % SERIES_COLOURS}"
        places = probe.trajectories.double()
        stride = max(1, (places.shape[1] - 1) // DRAWN_STEPS)
        columns: list[list[float | None]] = [[], []]
        for path in places:
            drawn = [*path[:-1:stride].tolist(), path[-1].tolist()]
            for axis in range(2):
                columns[axis] += [number(point[axis]) for point in drawn] + [None]
        ends = places[:, -1].tolist()
        traces.append(
            {
                "type": "scatter",
                "name": text(name),
                "legendgroup": str(order),
                "mode": "lines",
                "x": columns[0],
                "y": columns[1],
                "line": {
                    "color": colour,
                    "width": 2,
                    "dash": DASHES[order // SERIES_COLOURS % len(DASHES)],
                },
            }
        )
        traces.append(
            {
                "type": "scatter",
                "name": text(name),
                "legendgroup": str(order),
                "showlegend": False,
                "mode": "markers",
                "x": [number(point[0]) for point in ends],
                "y": [number(point[1]) for point in ends],
                "marker": {"color": colour, "size": 9},
            }
        )
    layout = layout_of(
        620,
        xaxis=axis_of("x", zeroline=True, zerolinecolor="--line-strong"),
        yaxis=axis_of("y", scaleanchor="x", zeroline=True, zerolinecolor="--line-strong"),
        hovermode="closest",
    )
    return {"data": traces, "layout": layout}


def comparison_section(standings: Sequence[Standing], group: str, key: str) -> Section:
    """The boxes and the table of one group of tasks."""
    held = [each for each in standings if each.group == group]
    best = min(held, key=lambda each: each.median)
    count = len(held[0].losses)
    rows = [
        (
            each.label,
            f"{each.mean:.3f}",
            f"{each.median:.3f}",
            f"{each.lower:.3f} to {each.upper:.3f}",
            percent(each.diverged),
        )
        for each in held
    ]
    return Section(
        key,
        group[:1].upper() + group[1:],
        f"{count:,} trainings of each optimizer: tasks and repetitions from other starts",
        f"Normalised losses of {len(held)} optimizers; {best.label} has the lowest median, "
        f"{best.median:.3f}.",
        ("Optimizer", "Mean", "Median", "Quartiles", "Worse than at the start, or diverged"),
        rows,
    )


def family_rows(standings: Sequence[Standing]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows of the table of medians by family."""
    held = [each for each in standings if each.group == ALL]
    families = list(dict.fromkeys(name for each in held for name in each.family_medians))
    rows = [
        (each.label, *(f"{each.family_medians[family]:.3f}" for family in families))
        for each in held
    ]
    return ("Optimizer", *families), rows


def write_comparison(standings: Sequence[Standing], path: Path, *, facts: Sequence[str]) -> None:
    """Write the page of a comparison; ``facts`` are short sentences for its head."""
    groups = list(dict.fromkeys(each.group for each in standings))
    sections, figures = [], {}
    for order, group in enumerate(groups):
        key = f"group{order}"
        sections.append(comparison_section(standings, group, key))
        figures[key] = box_figure([each for each in standings if each.group == group])
    headings, rows = family_rows(standings)
    families = Section("", "By family", "Medians", "", headings, rows)
    _write(path, "Optimizers compared", "Comparison", facts, [*sections, families], figures)


def write_probe(probes: Mapping[str, Probe], path: Path, *, facts: Sequence[str]) -> None:
    """Write the page of the probe."""
    section = Section(
        "probe",
        "Trajectories",
        "Paths down ½ (x − y)², from points on a circle; a dot marks each end",
        probe_summary(probes),
        ("Optimizer", "Distance from the valley", "Place along it"),
        probe_rows(probes),
    )
    figures = {"probe": probe_figure(probes)}
    _write(path, "Where optimizers stop in a flat valley", "Probe", facts, [section], figures)


def probe_rows(probes: Mapping[str, Probe]) -> list[tuple[str, ...]]:
    """Mean distance from the valley, and place along it: 1 the nearest point, 0 the origin."""
    return [
        (name, f"{probe.distance.mean():.3g}", f"{probe.along.nanmean():.3f}")
        for name, probe in probes.items()
    ]


def probe_summary(probes: Mapping[str, Probe]) -> str:
    """The trajectories in words."""
    words = [f"{name} ends at {along} of the way out" for name, _, along in probe_rows(probes)]
    return "; ".join(words) + ": 1 is the nearest point of the valley, 0 the origin."


def _write(
    path: Path,
    title: str,
    kind: str,
    facts: Sequence[str],
    sections: Sequence[Section],
    figures: dict[str, Any],
) -> None:
    page = render_page(
        "optimizers.html.j2", figures, title=title, kind=kind, facts=facts, sections=sections
    )
    put(page, path)
