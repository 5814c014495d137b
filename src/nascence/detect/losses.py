"""Losses of a one-stage detector: focal, generalised IoU, centre-ness."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nascence.detect.assignment import Targets
from nascence.detect.boxes import from_distances, generalised_iou


class Predictions(NamedTuple):
    """The predictions of a head at every place of a batch.

    Attributes:
        logits: (B, N, classes).
        distances: (B, N, 4) to left, top, right and bottom, in pixels, positive.
        centreness: logits (B, N).
    """

    logits: Tensor
    distances: Tensor
    centreness: Tensor


class Losses(NamedTuple):
    """Three scalars, whose sum is minimised."""

    classification: Tensor
    boxes: Tensor
    centreness: Tensor


def focal_loss(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Elementwise focal loss of Lin et al. (ICCV 2017), arXiv 1708.02002, eq. 5.

    ``-alpha_t (1 - p_t)^gamma log(p_t)`` of sigmoid probabilities; ``targets`` in {0, 1} has the
    shape of ``logits``, and so has the result. ``alpha`` weighs the ones and 1 - alpha the zeros.
    """
    probability = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    miss = probability + targets - 2 * probability * targets  # 1 - p_t
    return (alpha * targets + (1 - alpha) * (1 - targets)) * miss**gamma * entropy


def detection_losses(predictions: Predictions, targets: Targets, points: Tensor) -> Losses:
    """FCOS eq. 2: focal loss on every place, the others on places that have an object.

    ``targets`` are stacked, (B, N) and (B, N, 4), and ``points`` is (N, 2). The focal and the
    centre-ness loss are divided by the number of places with an object, and the loss
    ``1 - GIoU`` is an average weighted by the centre-ness wanted.
    """
    positive = targets.labels >= 0
    count = positive.sum().clamp(min=1)
    classes = predictions.logits.shape[-1]
    wanted = F.one_hot(targets.labels.clamp(min=0), classes) * positive[..., None]
    focal = focal_loss(predictions.logits, wanted.to(predictions.logits.dtype)).sum() / count
    batch, place = positive.nonzero(as_tuple=True)
    centre = targets.centreness[batch, place]
    at = points[place]
    found = from_distances(at, predictions.distances[batch, place])
    true = from_distances(at, targets.distances[batch, place])
    distance = (1 - generalised_iou(found, true)) * centre
    entropy = F.binary_cross_entropy_with_logits(
        predictions.centreness[batch, place], centre, reduction="sum"
    )
    return Losses(focal, distance.sum() / centre.sum().clamp(min=1e-6), entropy / count)


def stack_targets(targets: list[Targets]) -> Targets:
    """The targets of the images of a batch, stacked."""
    labels, distances, centre = zip(*targets, strict=True)
    return Targets(torch.stack(labels), torch.stack(distances), torch.stack(centre))
