"""How well scores rank trained networks, compared with their size alone."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nascence.metrics import kendall_tau, spearman, top_kendall_tau

FRACTIONS = (0.5, 0.2, 0.05)
"""Shares of the truly best networks within which the ranking is also measured."""


class Ranking(NamedTuple):
    """What one score is worth.

    Attributes:
        name: name of the score.
        networks: number of networks that were compared.
        tau: Kendall's tau-b with the truth; NaN where a list is constant.
        rho: Spearman's.
        top: tau among the best share of the truth, by share.
        choice: true value of the network with the best score, the mean over ties.
        choice_of_top: best true value among the 50 networks with the best scores.
        best: best true value of all networks compared.
    """

    name: str
    networks: int
    tau: float
    rho: float
    top: dict[float, float]
    choice: float
    choice_of_top: float
    best: float


def ranking_report(
    scores: Mapping[str, ArrayLike],
    truth: ArrayLike,
    *,
    baselines: Mapping[str, ArrayLike],
    fractions: tuple[float, ...] = FRACTIONS,
) -> tuple[Ranking, ...]:
    """Compare scores, and ``baselines`` such as FLOPs and parameters, with the truth.

    Args:
        scores: lists (n,) by name, higher is better.
        truth: (n,), such as accuracies.
        baselines: more lists, which come after the scores.
        fractions: shares of the best networks by truth.

    Raises:
        ValueError: lists of different lengths, with NaN, or of fewer than two.
    """
    true_values = np.asarray(truth, dtype=np.float64)
    return tuple(
        _ranking(name, np.asarray(values, dtype=np.float64), true_values, fractions)
        for name, values in {**scores, **baselines}.items()
    )


def _ranking(name: str, scores: NDArray, truth: NDArray, fractions: tuple[float, ...]) -> Ranking:
    tau = kendall_tau(scores, truth)
    top = {share: top_kendall_tau(scores, truth, fraction=share) for share in fractions}
    first = np.argsort(-scores, kind="stable")[:50]
    return Ranking(
        name,
        len(scores),
        tau,
        spearman(scores, truth),
        top,
        float(truth[scores == scores.max()].mean()),
        float(truth[first].max()),
        float(truth.max()),
    )


def ranking_table(rankings: tuple[Ranking, ...]) -> list[list[str]]:
    """Return the headings and rows of a table to print."""
    shares = list(rankings[0].top) if rankings else []
    rows = [["score", "tau", "rho", *(f"tau, top {share:.0%}" for share in shares),
             "true value of its choice", "best of its 50", "best sampled"]]  # fmt: skip
    for each in rankings:
        figures = [each.tau, each.rho, *(each.top[share] for share in shares)]
        values = [each.choice, each.choice_of_top, each.best]
        rows.append([each.name, *(f"{figure:.3f}" for figure in figures),
                     *(f"{value:.2f}" for value in values)])  # fmt: skip
    return rows
