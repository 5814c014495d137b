"""How good predictions are: accuracy, the loss, and whether probabilities mean what they say."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
SMALLEST = 1e-12
"""The least probability that the loss counts, so that one image cannot make it infinite."""


@dataclass(frozen=True)
class Bin:
    """Predictions whose confidence lies between two values.

    Attributes:
        low, high: The values, in [0, 1].
        images: How many predictions there are.
        confidence: Mean probability of the predicted class; nan if there are none.
        accuracy: Share of them that is right; nan if there are none.
    """

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Quality:
    """Predictions compared with labels.

    Attributes:
        images: How many.
        accuracy: Share that is right, in [0, 1]; higher is better.
        top5: Share whose class is among the five most probable, in [0, 1]; higher is better.
        loss: Mean negative log-likelihood in nats; lower is better.
        brier: Mean squared distance of the probabilities from the truth, in [0, 2]; lower is
            better.
        calibration_error: Mean gap of confidence and accuracy over :attr:`bins`, weighted by their
            images, in [0, 1]; lower is better (Guo et al. 2017, "On Calibration of Modern Neural
            Networks", section 2).
        bins: Predictions by their confidence, from 0 to 1 in equal steps.
        confusion: int64 ``(classes, classes)``: images by true class (rows) and predicted class.
    """

    images: int
    accuracy: float
    top5: float
    loss: float
    brier: float
    calibration_error: float
    bins: tuple[Bin, ...]
    confusion: NDArray[np.int64]


def judge(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> Quality:
    """Compare probabilities with the truth.

    Args:
        probabilities: ``(N, classes)``; rows sum to 1.
        labels: ``(N,)``, numbers of classes.

    Raises:
        ValueError: There are no images, or a label that is no class.
    """
    count, classes = probabilities.shape
    if count == 0 or labels.shape != (count,):
        raise ValueError(
            f"probabilities of shape {probabilities.shape} and labels of shape {labels.shape}; "
            "give at least one image and one label for each"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels lie between 0 and {classes - 1}; got {labels.max()}")
    values = probabilities.astype(np.float64)
    predicted = values.argmax(1)
    right = predicted == labels
    of_truth = values[np.arange(count), labels]
    rank = (values > of_truth[:, None]).sum(1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    bins = _bins(values.max(1), right)
    return Quality(
        images=count,
        accuracy=float(right.mean()),
        top5=float((rank < 5).mean()),
        loss=float(-np.log(np.maximum(of_truth, SMALLEST)).mean()),
        brier=float((values**2).sum(1).mean() - 2 * of_truth.mean() + 1),
        calibration_error=sum(
            each.images / count * abs(each.confidence - each.accuracy)
            for each in bins
            if each.images
        ),
        bins=bins,
        confusion=confusion,
    )


def _bins(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Predictions by their confidence; the upper end belongs to a bin, the lower does not."""
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    found = []
    for number in range(BINS):
        within = place == number
        images = int(within.sum())
        mean = float(confidence[within].mean()) if images else float("nan")
        accuracy = float(right[within].mean()) if images else float("nan")
        found.append(Bin(number / BINS, (number + 1) / BINS, images, mean, accuracy))
    return tuple(found)
