"""The headline: the designed network's figures and how they compare with the baseline's."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from nascence.report.contents import Compared, NetworkRow, ReportContents
from nascence.report.formatting import (
    GAP,
    MISSING,
    count,
    duration,
    magnitude,
    milliseconds,
    percent,
    points,
    three_digits,
)

LEVEL = 0.02
"""Costs that differ by less than this share are called level."""


class Interval(NamedTuple):
    """Bounds of a confidence interval."""

    lower: float
    upper: float


class Verdict(NamedTuple):
    """A comparison in words, and whether it is ``good``, ``bad`` or ``even`` for the design."""

    text: str
    tone: str


class Card(NamedTuple):
    """One figure at the head of the report."""

    label: str
    value: str
    detail: str
    verdict: Verdict | None


class Row(NamedTuple):
    """A row of the comparison: each network's figure and the verdict."""

    label: str
    designed: str
    baseline: str
    verdict: Verdict


def accuracy_interval(accuracy: float, images: int) -> Interval:
    """95 % interval of an accuracy (0 to 1) measured on ``images`` images (Wilson 1927)."""
    if images < 1 or not math.isfinite(accuracy):
        return Interval(math.nan, math.nan)
    z = 1.959964
    centre = (accuracy + z * z / (2 * images)) / (1 + z * z / images)
    spread = accuracy * (1 - accuracy) / images + z * z / (4 * images * images)
    half = z * math.sqrt(max(spread, 0.0)) / (1 + z * z / images)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def difference_interval(first: float, second: float, images: int) -> Interval:
    """95 % interval of ``first - second``, each measured on ``images`` images.

    Newcombe (1998), method 10, from the two Wilson intervals. It takes the two measurements for
    independent, so it is too wide rather than too narrow for networks that err on the same images.
    """
    a, b = accuracy_interval(first, images), accuracy_interval(second, images)
    return Interval(
        first - second - math.hypot(first - a.lower, b.upper - second),
        first - second + math.hypot(a.upper - first, second - b.lower),
    )


def deployed_latency(row: NetworkRow) -> float:
    """Milliseconds of the network as it is used: folded where it was folded."""
    return row.latency_ms if row.folded_latency_ms is None else row.folded_latency_ms


def accuracy_verdict(designed: NetworkRow, baseline: NetworkRow, images: int) -> Verdict:
    """The difference in percentage points, called even where its 95 % interval holds zero."""
    difference = designed.accuracy - baseline.accuracy
    if not math.isfinite(difference):
        return Verdict(MISSING, "even")
    lower, upper = difference_interval(designed.accuracy, baseline.accuracy, images)
    if not lower * upper > 0:
        return Verdict(f"{points(difference)} points, within the noise", "even")
    return Verdict(f"{points(difference)} points", "good" if difference > 0 else "bad")


def cost_verdict(designed: float, baseline: float, less: str, more: str) -> Verdict:
    """A cost as a ratio: ``3.20× fewer``; ``less`` and ``more`` are the words to use."""
    if not (math.isfinite(designed) and math.isfinite(baseline)) or min(designed, baseline) <= 0:
        return Verdict(MISSING, "even")
    ratio = designed / baseline
    if abs(ratio - 1) < LEVEL:
        return Verdict("level", "even")
    if ratio < 1:
        return Verdict(f"{_times(1 / ratio)} {less}", "good")
    return Verdict(f"{_times(ratio)} {more}", "bad")


def _times(ratio: float) -> str:
    return f"{three_digits(ratio) if ratio < 999.5 else count(ratio)}×"


def _folding(row: NetworkRow) -> str:
    if row.folded_latency_ms is None or not math.isfinite(row.folded_latency_ms):
        return "one forward pass, not folded"
    text = f"after folding; {milliseconds(row.latency_ms)} before"
    if math.isfinite(row.latency_ms) and row.latency_ms > 0:
        text += f" ({points(row.folded_latency_ms / row.latency_ms - 1, 0)}{GAP}%)"
    return text


def _verdicts(contents: ReportContents) -> dict[str, Verdict]:
    """Every comparison with the baseline by its field; empty where there is none."""
    a, b = contents.designed, contents.baseline
    if b is None:
        return {}
    folded = (a.folded_latency_ms, b.folded_latency_ms)
    missing = Verdict(MISSING, "even")
    return {
        "accuracy": accuracy_verdict(a, b, contents.validation_images),
        "mean_recall": accuracy_verdict(
            replace(a, accuracy=a.mean_recall),
            replace(b, accuracy=b.mean_recall),
            contents.validation_images,
        ),
        "parameters": cost_verdict(a.parameters, b.parameters, "fewer", "as many"),
        "macs": cost_verdict(a.macs, b.macs, "fewer", "as many"),
        "deployed": cost_verdict(deployed_latency(a), deployed_latency(b), "faster", "slower"),
        "latency_ms": cost_verdict(a.latency_ms, b.latency_ms, "faster", "slower"),
        "folded_latency_ms": missing
        if None in folded
        else cost_verdict(folded[0] or 0, folded[1] or 0, "faster", "slower"),
        # A longer training is neither better nor worse.
        "train_seconds": cost_verdict(a.train_seconds, b.train_seconds, "less", "as much")._replace(
            tone="even"
        ),
        "train_steps": cost_verdict(a.train_steps, b.train_steps, "fewer", "as many")._replace(
            tone="even"
        ),
    }


def cards(contents: ReportContents) -> list[Card]:
    """The four figures at the top: accuracy, parameters, multiply-adds, latency."""
    row, verdicts = contents.designed, _verdicts(contents)
    lower, upper = map(percent, accuracy_interval(row.accuracy, contents.validation_images))
    interval = f"95{GAP}% interval {lower} to {upper}"
    latency = milliseconds(deployed_latency(row))
    exact = f"{count(row.parameters)} exactly"
    recall = f"mean recall of classes {percent(row.mean_recall)}"
    first = ("accuracy", "Validation accuracy", percent(row.accuracy), f"{interval}; {recall}")
    if contents.uneven and math.isfinite(row.mean_recall):
        other = f"classes are uneven; {percent(row.accuracy)} of all images are right"
        first = ("mean_recall", "Mean recall of classes", percent(row.mean_recall), other)
    shown = (
        first,
        ("parameters", "Parameters", magnitude(row.parameters), exact),
        ("macs", "Multiply-adds", magnitude(row.macs), "for one image"),
        ("deployed", "Latency", latency, _folding(row)),
    )
    return [
        Card(label, value, detail, verdicts.get(field)) for field, label, value, detail in shown
    ]


def lead(contents: ReportContents) -> str:
    """One paragraph that says what was made and whether it beats the hand-designed network."""
    row, baseline, images = contents.designed, contents.baseline, contents.validation_images
    size = f"{magnitude(row.parameters)} parameters and {magnitude(row.macs)} multiply-adds"
    text = f"The designed network classifies {percent(row.accuracy)} of the validation images"
    text += f" correctly with {size}."
    if contents.uneven and math.isfinite(row.mean_recall):
        recall = percent(row.mean_recall)
        text = (
            f"The designed network finds {recall} of the validation images of a class in the mean,"
            f" and classifies {percent(row.accuracy)} of all of them correctly, with {size}."
        )
    if row.folded_latency_ms is not None and math.isfinite(row.folded_latency_ms - row.latency_ms):
        text += (
            f" Folding takes its forward pass from {milliseconds(row.latency_ms)}"
            f" to {milliseconds(row.folded_latency_ms)}."
        )
    if baseline is None or not math.isfinite(row.accuracy - baseline.accuracy):
        return text
    difference = row.accuracy - baseline.accuracy
    lower, upper = difference_interval(row.accuracy, baseline.accuracy, images)
    spread = f"95{GAP}% interval {points(lower)} to {points(upper)}"
    name = f"the hand-designed {baseline.name}"
    if not lower * upper > 0:
        text += (
            f" Its accuracy and that of {name} cannot be told apart on these images: the"
            f" difference is {points(difference)} points ({spread})."
        )
    else:
        word = "above" if difference > 0 else "below"
        text += f" Its accuracy is {points(abs(difference))[1:]} points {word} {name} ({spread})."
    verdicts = _verdicts(contents)
    costs = [
        f"{verdicts[field].text} {noun}".replace("level", "as many")
        for field, noun in (("parameters", "parameters"), ("macs", "multiply-adds"))
        if verdicts[field].text != MISSING
    ]
    return f"{text} It has {' and '.join(costs)}." if costs else text


def figure_names(contents: ReportContents) -> tuple[str, str]:
    """The two figures of a network, the one that counts first."""
    names = ("Accuracy", "Mean recall")
    return (names[1], names[0]) if contents.uneven else names


def compared(contents: ReportContents) -> list[tuple[Compared, tuple[float, float]]]:
    """What the design is compared with, each with its figures in the order of their names.

    The designed network, as it is after all of its time, comes last.
    """
    if not contents.compared:
        return []
    own = contents.designed
    final = Compared(
        "designed",
        f"{own.name}, all of its time",
        "ours",
        _optimizer(contents),
        contents.settings.get("start", "random"),
        own.accuracy,
        own.mean_recall,
        own.train_seconds,
        own.train_steps,
    )
    found = []
    for row in (*contents.compared, final):
        figures = (row.accuracy, row.mean_recall)
        found.append((row, figures[::-1] if contents.uneven else figures))
    return found


def _optimizer(contents: ReportContents) -> str:
    """What trained the designed network, as the row in equal time says."""
    return next((row.optimizer for row in contents.compared if row.key == "short"), "")


_ROWS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("Validation accuracy", "accuracy", percent),
    ("Mean recall of classes", "mean_recall", percent),
    ("Parameters", "parameters", count),
    ("Multiply-adds", "macs", count),
    ("Latency before folding", "latency_ms", milliseconds),
    ("Latency after folding", "folded_latency_ms", milliseconds),
    ("Training time", "train_seconds", duration),
    ("Training steps", "train_steps", count),
)


def rows(contents: ReportContents) -> list[Row]:
    """The comparison, row by row; empty where there is no baseline."""
    a, b, verdicts = contents.designed, contents.baseline, _verdicts(contents)
    return [
        Row(label, show(getattr(a, field)), show(getattr(b, field)), verdicts[field])
        for label, field, show in _ROWS
        if b is not None
    ]
