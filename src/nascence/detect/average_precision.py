"""Average precision as the COCO evaluation defines it (Lin et al. 2014, arXiv 1405.0312).

The rules are those of the evaluation server: IoU thresholds 0.50, 0.55, ..., 0.95, precision made
monotonic and read at 101 recalls, 100 detections per image and class, all classes weighted equally,
and objects outside a range of areas ignored. Crowd annotations are not supported.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nascence.detect.boxes import Detections, Objects, pairwise_iou

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
AREAS = {
    "all": (0.0, float("inf")),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, float("inf")),
}
"""COCO's ranges, in square pixels of its images of about 640 by 480."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class AveragePrecision(NamedTuple):
    """Values in [0, 1], or NaN where there is no object of that kind.

    Attributes:
        ap: Mean over classes and IoU thresholds.
        ap50, ap75: At one threshold, mean over classes.
        by_area: ``ap`` of the objects in each range of areas.
        by_class: ``ap`` of each class, (classes,).
    """

    ap: float
    ap50: float
    ap75: float
    by_area: dict[str, float]
    by_class: Floats


class _Matches(NamedTuple):
    """Detections of one class in one image against its objects, at every threshold."""

    scores: Floats  # (D,), falling
    matched: Flags  # (T, D)
    ignored: Flags  # (T, D)
    wanted: int


def average_precision(
    detections: Sequence[Detections],
    truths: Sequence[Objects],
    *,
    classes: int,
    areas: Mapping[str, tuple[float, float]] = AREAS,
    most: int = 100,
) -> AveragePrecision:
    """COCO's average precision of the detections in each image against the objects in it.

    ``areas`` names ranges of box area, with both bounds included as in COCO; "all" may be left out.
    ``most`` is the number of detections that count per image and class.

    Raises ValueError where there are not as many detections as truths.
    """
    if len(detections) != len(truths) or not truths:
        raise ValueError(
            f"detections in {len(detections)} images and objects in {len(truths)}; give both for "
            "each of the same images, at least one"
        )
    ranges = {"all": AREAS["all"], **areas}
    overlaps = {
        (image, label): _of_class(detections[image], truths[image], label, most)
        for image in range(len(truths))
        for label in range(classes)
    }
    table = {
        name: np.stack(
            [
                _precision(
                    [_match(*overlaps[image, label], bounds) for image in range(len(truths))]
                )
                for label in range(classes)
            ]
        )
        for name, bounds in ranges.items()
    }
    everything = table["all"]
    return AveragePrecision(
        ap=_mean(everything),
        ap50=_mean(everything[:, 0]),
        ap75=_mean(everything[:, 5]),
        by_area={name: _mean(values) for name, values in table.items()},
        by_class=everything.mean(axis=1),
    )


def _mean(values: Floats) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")


def _of_class(
    found: Detections, truth: Objects, label: int, most: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Of a class: descending scores (D,), areas (D,), areas of objects (G,) and overlaps (D, G)."""
    chosen = (found.labels == label).nonzero().squeeze(1)
    order = found.scores[chosen].argsort(descending=True, stable=True)[:most]
    boxes = found.boxes[chosen][order].double()
    objects = truth.boxes[truth.labels == label].double().to(boxes.device)
    sides = boxes[:, 2:] - boxes[:, :2]
    wide = objects[:, 2:] - objects[:, :2]
    return (
        found.scores[chosen][order].double().cpu().numpy(),
        sides.prod(1).cpu().numpy(),
        wide.prod(1).cpu().numpy(),
        pairwise_iou(boxes, objects).cpu().numpy(),
    )


def _match(
    scores: Floats,
    areas: Floats,
    object_areas: Floats,
    overlaps: Floats,
    bounds: tuple[float, float],
) -> _Matches:
    """Assign to each detection, best score first, the free object that it overlaps most.

    Objects within the range take precedence; a detection is ignored if it can only be given one
    outside, or if it gets none and lies outside itself.
    """
    outside = (object_areas < bounds[0]) | (object_areas > bounds[1])
    order = np.argsort(outside, kind="stable")
    outside, overlaps = outside[order], overlaps[:, order]
    wanted = int((~outside).sum())
    matched = np.zeros((len(THRESHOLDS), len(scores)), bool)
    ignored = np.zeros_like(matched)
    for row, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(outside), bool)
        for index in range(len(scores) if len(outside) else 0):
            for part in (slice(0, wanted), slice(wanted, None)):
                candidates = np.where(free[part], overlaps[index, part], -1.0)
                if candidates.size and candidates.max() >= threshold:
                    # of equal overlaps the last one, as the evaluation server has it
                    place = candidates.size - 1 - int(candidates[::-1].argmax())
                    place += part.start
                    free[place] = False
                    matched[row, index] = True
                    ignored[row, index] = outside[place]
                    break
    far = (areas < bounds[0]) | (areas > bounds[1])
    return _Matches(scores, matched, ignored | (~matched & far[None]), wanted)


def _precision(images: Sequence[_Matches]) -> Floats:
    """Average precision of a class at each threshold (T,), NaN where it has no objects."""
    wanted = sum(each.wanted for each in images)
    if not wanted:
        return np.full(len(THRESHOLDS), np.nan)
    scores = np.concatenate([each.scores for each in images])
    order = np.argsort(-scores, kind="stable")
    matched = np.concatenate([each.matched for each in images], axis=1)[:, order]
    ignored = np.concatenate([each.ignored for each in images], axis=1)[:, order]
    result = np.zeros(len(THRESHOLDS))
    for row in range(len(THRESHOLDS)):
        hits = np.cumsum(matched[row] & ~ignored[row])
        misses = np.cumsum(~matched[row] & ~ignored[row])
        recall = hits / wanted
        precision = hits / np.maximum(hits + misses, np.spacing(1))
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        place = np.searchsorted(recall, RECALLS, side="left")
        reached = place < len(recall)
        result[row] = precision[place[reached]].sum() / len(RECALLS)
    return result
