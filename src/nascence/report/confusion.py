"""What a confusion matrix says: the pairs most often confused, and each class on its own."""

import math
from typing import NamedTuple

import numpy as np


class Pair(NamedTuple):
    """Images of one class that were taken for another.

    Attributes:
        truth: Number of the class.
        predicted: Number of the class that they were taken for.
        images: How many.
        share: Their share of the class, in [0, 1].
    """

    truth: int
    predicted: int
    images: int
    share: float


class ClassFigures(NamedTuple):
    """How well one class is recognised.

    Attributes:
        label: Number of the class.
        images: Its images.
        recall: Share of them that were found, in [0, 1]; nan without images.
        precision: Share of its predictions that are right, in [0, 1]; nan without predictions.
    """

    label: int
    images: int
    recall: float
    precision: float


def confused_pairs(confusion: np.ndarray, limit: int) -> list[Pair]:
    """The ``limit`` most frequent mistakes of counts ``(K, K)``, rows the truth."""
    wrong = np.array(confusion, dtype=np.int64)
    np.fill_diagonal(wrong, 0)
    images = np.asarray(confusion, dtype=np.int64).sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
    pairs = []
    for truth, predicted in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if found := int(wrong[truth, predicted]):
            pairs.append(Pair(int(truth), int(predicted), found, found / int(images[truth])))
    return pairs


def class_figures(confusion: np.ndarray) -> list[ClassFigures]:
    """Recall and precision of every class from counts ``(K, K)``, the weakest recall first."""
    counts = np.asarray(confusion, dtype=np.int64)
    right, images, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    figures = [
        ClassFigures(
            index,
            int(images[index]),
            right[index] / images[index] if images[index] else math.nan,
            right[index] / predicted[index] if predicted[index] else math.nan,
        )
        for index in range(len(counts))
    ]
    return sorted(figures, key=lambda row: 2.0 if math.isnan(row.recall) else row.recall)


def downsample(confusion: np.ndarray, block: int) -> np.ndarray:
    """Sum counts ``(K, K)`` over ``block`` neighbouring classes, in both directions."""
    counts = np.asarray(confusion, dtype=np.int64)
    starts = np.arange(0, len(counts), block)
    return np.add.reduceat(np.add.reduceat(counts, starts, axis=0), starts, axis=1)


def row_shares(confusion: np.ndarray) -> np.ndarray:
    """Each of the counts ``(K, K)`` as a share of its row; nan in a row without images."""
    counts = np.asarray(confusion, dtype=np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
