"""The charts in words, for a reader who cannot see them."""

import math
from collections.abc import Sequence

from nascence.report.charts import drawn_candidates
from nascence.report.contents import CandidatePoint, Curve
from nascence.report.formatting import magnitude, percent, three_digits


def candidates_summary(candidates: Sequence[CandidatePoint], score_name: str) -> str:
    """The scatter plot in words, for a reader who cannot see it."""
    drawn = drawn_candidates(candidates)
    if not drawn:
        return "No candidate has a finite score."
    best = max(point.score for point in drawn)
    sizes = [point.parameters for point in drawn]
    words = (
        f"{score_name} against size of {len(drawn):,} candidates with {magnitude(min(sizes))} to "
        f"{magnitude(max(sizes))} parameters; the best score is {best:.4g}."
    )
    for point in drawn:
        if point.chosen:
            rank = 1 + sum(other.score > point.score for other in drawn)
            words += f" The chosen one scores {point.score:.4g}, rank {rank:,}."
    return words


def curves_summary(curves: Sequence[Curve], field: str) -> str:
    """The last measured value of every curve, in words."""
    words = []
    for curve in curves:
        finite = [value for value in getattr(curve, field) if math.isfinite(value)]
        if finite:
            last = percent(finite[-1]) if field == "accuracy" else three_digits(finite[-1])
            words.append(f"{curve.name} ends at {last}")
    what = "Validation accuracy" if field == "accuracy" else "Training loss"
    return f"{what} during training. " + ("; ".join(words) or "Nothing was measured") + "."
