"""Boxes ``(x1, y1, x2, y2)`` in pixels, and how much two of them overlap."""

from typing import NamedTuple

import torch
from torch import Tensor


class Objects(NamedTuple):
    """The objects in an image: ``boxes`` (N, 4) and ``labels`` int64 (N,)."""

    boxes: Tensor
    labels: Tensor


class Detections(NamedTuple):
    """What was found: ``boxes`` (N, 4), ``scores`` (N,) in [0, 1], ``labels`` int64 (N,)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def area(boxes: Tensor) -> Tensor:
    """Area of boxes ``(..., 4)`` in square pixels; zero for a box with swapped corners."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def _overlap(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Area of intersection and of union of boxes that broadcast."""
    sides = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(
        first[..., :2], second[..., :2]
    )
    sides = sides.clamp(min=0)
    intersection = sides[..., 0] * sides[..., 1]
    return intersection, area(first) + area(second) - intersection


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union ``(N, M)`` of boxes ``(N, 4)`` and ``(M, 4)``; 0 of empty boxes."""
    intersection, union = _overlap(first[:, None], second[None])
    return torch.where(union > 0, intersection / union.clamp(min=1e-12), 0.0)


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """GIoU in [-1, 1] of boxes ``(..., 4)`` that broadcast; shape ``(...)``.

    Rezatofighi et al., Generalized intersection over union (CVPR 2019), algorithm 1: the
    intersection over union, less the share of the smallest enclosing box that is in neither.
    """
    intersection, union = _overlap(first, second)
    corners = torch.cat(
        [
            torch.minimum(first[..., :2], second[..., :2]),
            torch.maximum(first[..., 2:], second[..., 2:]),
        ],
        dim=-1,
    )
    hull = area(corners).clamp(min=1e-7)
    return intersection / union.clamp(min=1e-7) - (hull - union) / hull


def from_distances(points: Tensor, distances: Tensor) -> Tensor:
    """Boxes ``(..., 4)`` from points ``(..., 2)`` and distances to left, top, right, bottom."""
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], dim=-1)


def clip(boxes: Tensor, height: int, width: int) -> Tensor:
    """Boxes ``(..., 4)`` cut to the image."""
    limits = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limits)
