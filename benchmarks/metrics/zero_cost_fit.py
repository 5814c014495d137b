"""A model of accuracy fitted on scores and a few accuracies: ridge regression on ranks."""

import numpy as np
from numpy.typing import NDArray

PENALTIES = np.logspace(-3, 3, 25)


def ranks_among(values: NDArray, population: NDArray) -> NDArray:
    """Share of the population below each value, ties counted half: (n,) from 0 to 1."""
    ordered = np.sort(population)
    low, high = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (low + high) / (2 * len(ordered))


def features(scores: NDArray, population: NDArray) -> NDArray:
    """Ranks of each score (n, scores) among a population's, and the products of every two."""
    columns = [ranks_among(a, b) - 0.5 for a, b in zip(scores.T, population.T, strict=True)]
    ranks = np.stack(columns, axis=1)
    first, second = np.triu_indices(ranks.shape[1])
    return np.concatenate([ranks, ranks[:, first] * ranks[:, second]], axis=1)


def ridge(x: NDArray, y: NDArray) -> tuple[NDArray, float]:
    """Weights and offset of the ridge regression with the least leave-one-out error."""
    mean, offset = x.mean(axis=0), float(y.mean())
    u, s, vt = np.linalg.svd(x - mean, full_matrices=False)
    projected = u.T @ (y - offset)
    best, weights = np.inf, np.zeros(x.shape[1])
    for penalty in PENALTIES:
        shrink = s**2 / (s**2 + penalty)
        leverage = (u**2) @ shrink + 1 / len(y)
        error = np.mean(((y - offset - u @ (shrink * projected)) / (1 - leverage)) ** 2)
        if error < best:
            best, weights = error, vt.T @ (s / (s**2 + penalty) * projected)
    return weights, offset - float(mean @ weights)


def predicted(scores: NDArray, labelled: NDArray, accuracies: NDArray) -> NDArray:
    """Predict a rank for every row of scores (n, scores) from those at the places ``labelled``.

    Args:
        scores: of every network; only the labelled ones' decide what is a rank.
        labelled: places of the networks whose accuracy is known.
        accuracies: theirs.
    """
    x = features(scores, scores[labelled])
    weights, offset = ridge(x[labelled], ranks_among(accuracies, accuracies))
    return x @ weights + offset
