"""Which place of which level is responsible for which object.

Tian, Shen, Chen, He: FCOS (ICCV 2019), arXiv 1904.01355, section 3.2, with the centre sampling of
the authors' later version (arXiv 2006.09214).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nascence.detect.boxes import Objects, area


class Places(NamedTuple):
    """Every place of every level of a pyramid, concatenated.

    Attributes:
        points: Centres (N, 2), x and y in pixels.
        strides: Pixels between neighbours, (N,).
        least, most: Range of the greatest distance that a place is responsible for, (N,) each.
    """

    points: Tensor
    strides: Tensor
    least: Tensor
    most: Tensor


class Targets(NamedTuple):
    """What each place should predict.

    Attributes:
        labels: int64 (N,), -1 for background.
        distances: (N, 4) to the left, top, right and bottom of the object, in pixels.
        centreness: (N,), eq. 3, 1 in the centre of an object and 0 on its border.
    """

    labels: Tensor
    distances: Tensor
    centreness: Tensor


def places(
    sizes: Sequence[tuple[int, int]],
    strides: Sequence[int],
    *,
    reach: float = 4.0,
    device: torch.device | str = "cpu",
) -> Places:
    """The places of levels of ``sizes`` (height, width), finest first, at ``strides`` pixels.

    A level of stride s answers for objects whose greatest distance from the place to a side is
    at most ``reach * s`` and more than the finer level's bound; the last level has no upper bound
    (FCOS has 8, for images of 800 pixels).

    Raises ValueError where there is not one stride for each level.
    """
    if len(sizes) != len(strides) or not sizes:
        raise ValueError(f"{len(sizes)} levels and {len(strides)} strides; give one for each")
    points, limits = [], []
    for index, ((height, width), stride) in enumerate(zip(sizes, strides, strict=True)):
        x = (torch.arange(width, device=device) + 0.5) * stride
        y = (torch.arange(height, device=device) + 0.5) * stride
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
        points.append(grid)
        low = reach * strides[index - 1] if index else 0.0
        high = reach * stride if index + 1 < len(sizes) else float("inf")
        limits.append(grid.new_tensor([[stride, low, high]]).expand(len(grid), 3))
    steps, least, most = torch.cat(limits).unbind(dim=1)
    return Places(torch.cat(points), steps, least, most)


def assign(at: Places, objects: Objects, *, radius: float = 1.5) -> Targets:
    """The object that each place is responsible for, if any.

    A place answers for an object if it lies inside its box and within ``radius`` strides of its
    centre, and the greatest of its four distances is in the range of the level; of several
    objects it takes the smallest.
    """
    count = len(at.points)
    if not len(objects.boxes):
        zeros = at.points.new_zeros(count)
        labels = torch.full((count,), -1, dtype=torch.int64, device=at.points.device)
        return Targets(labels, zeros[:, None].expand(-1, 4), zeros)
    boxes = objects.boxes.to(at.points)
    distances = torch.cat(
        [at.points[:, None] - boxes[None, :, :2], boxes[None, :, 2:] - at.points[:, None]], dim=-1
    )
    offset = (at.points[:, None] - (boxes[:, :2] + boxes[:, 2:]) / 2).abs().amax(-1)
    greatest = distances.amax(-1)
    allowed = (
        (distances.amin(-1) > 0)
        & (offset <= radius * at.strides[:, None])
        & (greatest > at.least[:, None])
        & (greatest <= at.most[:, None])
    )
    areas = torch.where(allowed, area(boxes)[None], float("inf"))
    smallest, index = areas.min(dim=1)
    found = smallest.isfinite()
    labels = torch.where(found, objects.labels.to(index.device)[index], -1)
    chosen = distances.gather(1, index[:, None, None].expand(-1, 1, 4)).squeeze(1)
    chosen = torch.where(found[:, None], chosen, 0.0)
    return Targets(labels, chosen, centreness(chosen))


def centreness(distances: Tensor) -> Tensor:
    """FCOS eq. 3: ``sqrt(min(l, r) / max(l, r) * min(t, b) / max(t, b))``, 0 at 0.

    Of distances ``(..., 4)`` to left, top, right and bottom: ``(...)``.
    """
    least = torch.minimum(distances[..., :2], distances[..., 2:]).clamp(min=0)
    most = torch.maximum(distances[..., :2], distances[..., 2:]).clamp(min=1e-12)
    return (least / most).prod(-1).sqrt()
