"""Non-maximum suppression: of boxes on the same object, keep the one with the highest score."""

import numpy as np
import torch
from torch import Tensor

from nascence.detect.boxes import pairwise_iou


def suppress(boxes: Tensor, scores: Tensor, labels: Tensor, *, threshold: float = 0.6) -> Tensor:
    """Indices (K,) of the boxes that are kept, by descending score and then by position.

    A box is dropped if a kept box of the same label with a higher score overlaps it with an
    intersection over union above ``threshold``. The table of overlaps takes ``4 N^2`` bytes, so N
    should be at most a few thousand. Raises ValueError where shapes differ or ``threshold`` is not
    in [0, 1].
    """
    count = len(scores)
    if boxes.shape != (count, 4) or scores.shape != (count,) or labels.shape != (count,):
        raise ValueError(
            f"boxes {tuple(boxes.shape)}, scores {tuple(scores.shape)} and labels "
            f"{tuple(labels.shape)} do not belong together; they are (N, 4), (N,) and (N,)"
        )
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must be in [0, 1]")
    order = scores.argsort(descending=True, stable=True)
    boxes, labels = boxes[order], labels[order]
    suppresses = (pairwise_iou(boxes, boxes) > threshold) & (labels[:, None] == labels[None])
    table = suppresses.triu(diagonal=1).cpu().numpy()
    alive = np.ones(count, bool)
    for index in range(count):
        if alive[index]:
            alive &= ~table[index]
    return order[torch.from_numpy(alive).to(order.device)]
