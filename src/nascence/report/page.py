"""The report: one HTML file that needs no network and no other file."""

import base64
import io
import json
import math
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from nascence.core.files import write_whole
from nascence.report import charts, comparison, formatting, summaries
from nascence.report.cell import COLOURS, draw_cell, kind_of
from nascence.report.confusion import class_figures, confused_pairs
from nascence.report.contents import CandidatePoint, Curve, Mistake, ReportContents, StageTime

MOST_MISTAKES = 24
THUMBNAIL = 128
"""Pixels of the longer side of a mistake's picture; smaller images are kept as they are."""
LISTED_CANDIDATES = 20
LISTED_CLASSES = 20
LISTED_PAIRS = 10


def script_json(value: Any) -> Markup:
    """JSON that is safe inside a script element: no character of it can end the element."""
    encoded = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    return Markup(encoded)


def picture(mistake: Mistake) -> str:
    """Encode a mistake's image as a data address, scaled down where it is large."""
    array = mistake.image
    image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    buffer = io.BytesIO()
    if max(image.size) > THUMBNAIL:
        image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        image.save(buffer, "JPEG", quality=88)
        kind = "jpeg"
    else:
        image.save(buffer, "PNG", optimize=True)
        kind = "png"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _best_candidates(candidates: Sequence[CandidatePoint]) -> list[tuple[int, CandidatePoint]]:
    """Rank and candidate: the best 20, and the chosen one wherever it stands."""
    finite = sorted(
        (point for point in candidates if math.isfinite(point.score)),
        key=lambda point: -point.score,
    )
    ranked = list(enumerate(finite, start=1))
    return [row for row in ranked if row[0] <= LISTED_CANDIDATES or row[1].chosen]


def _curve_row(curve: Curve) -> dict[str, Any]:
    accuracy = [value for value in curve.accuracy if math.isfinite(value)]
    loss = [value for value in curve.train_loss if math.isfinite(value)]
    return {
        "name": curve.name,
        "steps": curve.steps[-1] if curve.steps else 0,
        "seconds": curve.seconds[-1] if curve.seconds else math.nan,
        "loss": loss[-1] if loss else math.nan,
        "last": accuracy[-1] if accuracy else math.nan,
        "best": max(accuracy, default=math.nan),
    }


def _stage_rows(stages: Sequence[StageTime]) -> list[dict[str, Any]]:
    """Each stage with its bar's width and its budget's place, in percent of the longest."""
    budgets = [stage.budget for stage in stages if stage.budget is not None]
    known = [value for value in (*(s.seconds for s in stages), *budgets) if math.isfinite(value)]
    longest = max(known, default=0.0) or 1.0
    rows = []
    for stage in stages:
        seconds = stage.seconds if math.isfinite(stage.seconds) else 0.0
        over = stage.budget is not None and seconds > 1.02 * stage.budget
        rows.append(
            {
                "stage": stage,
                "width": 100 * max(seconds, 0.0) / longest,
                "mark": None if stage.budget is None else 100 * stage.budget / longest,
                "over": seconds - stage.budget if over and stage.budget is not None else None,
            }
        )
    return rows


def _drawing(contents: ReportContents) -> tuple[Markup, list[str]]:
    """The cell's SVG and the kinds of operation in it; empty where it cannot be drawn."""
    kinds = {kind_of(operation) for _, _, operation in contents.cell_edges}
    try:
        drawing = draw_cell(contents.cell_edges, title="The chosen cell")
    except ValueError as error:
        return Markup("<p>The cell is not drawn: {}.</p>").format(error), []
    return Markup(drawing), [kind for kind in COLOURS if kind in kinds]


def _figures(contents: ReportContents) -> dict[str, charts.Figure]:
    figures = {}
    if any(math.isfinite(point.score) for point in contents.candidates):
        figures["candidates"] = charts.candidate_figure(contents.candidates, contents.score_name)
    if contents.curves:
        figures["accuracy"] = charts.curve_figure(contents.curves, "accuracy")
        figures["loss"] = charts.curve_figure(contents.curves, "train_loss")
    if contents.confusion.any():
        figures["confusion"] = charts.confusion_figure(contents.confusion, contents.classes)
    return figures


def _errors(contents: ReportContents) -> dict[str, Any]:
    """What the section on mistakes shows."""
    figures = class_figures(contents.confusion)
    mistakes = sorted(
        contents.mistakes,
        key=lambda m: -m.confidence if math.isfinite(m.confidence) else math.inf,
    )[:MOST_MISTAKES]
    return {
        "pairs": confused_pairs(contents.confusion, LISTED_PAIRS),
        "class_rows": figures[:LISTED_CLASSES],
        "block": charts.matrix_block(len(contents.classes)),
        "mistakes": [(mistake, picture(mistake)) for mistake in mistakes],
    }


def render_page(template: str, figures: dict[str, charts.Figure], **values: Any) -> str:
    """Fill a template as one HTML document, plotly's script within it if there is a figure.

    Strings from outside (class names, file names, notes) are escaped wherever they stand, and the
    document's policy lets nothing be loaded and no script run but its own two.

    Args:
        template: File name of the template.
        figures: Plotly figures by the name of their place in the page.
        values: What else the template shows.
    """
    from plotly.offline import get_plotlyjs

    loader = PackageLoader("nascence.report", "template")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("count", "duration", "magnitude", "milliseconds", "percent", "shorten"):
        environment.filters[name] = getattr(formatting, name)
    environment.filters["score"] = lambda value: f"{value:.5g}"
    environment.filters["digits"] = formatting.three_digits
    plotly = get_plotlyjs() if figures else ""
    style, page_script = (
        loader.get_source(environment, name)[0] for name in ("report.css", "report.js")
    )
    hashes = " ".join(
        f"'sha256-{base64.b64encode(sha256(source.encode()).digest()).decode()}'"
        for source in (plotly, page_script)
    )
    return environment.get_template(template).render(
        policy=f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
        f"script-src {hashes}",
        style=Markup(style),
        plotly=Markup(plotly),
        page_script=Markup(page_script),
        figures=script_json(figures),
        figure_names=set(figures),
        **values,
    )


def render(contents: ReportContents) -> str:
    """Render the report of a run as one HTML document; see :func:`render_page`."""
    drawing, kinds = _drawing(contents) if contents.cell_edges else (Markup(), [])
    scored = [point for point in contents.candidates if math.isfinite(point.score)]
    return render_page(
        "report.html.j2",
        _figures(contents),
        report=contents,
        summaries={
            "candidates": summaries.candidates_summary(contents.candidates, contents.score_name),
            "accuracy": summaries.curves_summary(contents.curves, "accuracy"),
            "loss": summaries.curves_summary(contents.curves, "train_loss"),
        },
        lead=comparison.lead(contents),
        cards=comparison.cards(contents),
        rows=comparison.rows(contents),
        compared=comparison.compared(contents),
        compared_figures=comparison.figure_names(contents),
        drawing=drawing,
        kinds=kinds,
        scored=len(scored),
        best=_best_candidates(contents.candidates),
        curve_rows=[_curve_row(curve) for curve in contents.curves],
        stage_rows=_stage_rows(contents.stages),
        stage_total=sum(s.seconds for s in contents.stages if math.isfinite(s.seconds)),
        most_drawn=charts.MOST_CANDIDATES,
        **_errors(contents),
    )


def write(contents: ReportContents, path: Path) -> None:
    """Write the report of a run; see :func:`put`."""
    put(render(contents), path)


def put(page: str, path: Path) -> None:
    """Write a page whole or not at all.

    Raises:
        WriteError: An ``OSError``: the folder is missing or cannot be written.
    """
    # File names may hold bytes that are not UTF-8 (lone surrogates in a str).
    write_whole(path, page.encode("utf-8", errors="replace"), parents=False)
