"""Small images for tasks: the bundled sample at a low resolution, split four ways."""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from nascence.data import load
from nascence.task import Draw, TaskSplit

# Rows of the bundled sample; the last thousand are its validation images.
ROWS: dict[TaskSplit, tuple[int, int]] = {
    "train": (0, 4000),
    "inner-valid": (4000, 4500),
    "outer-valid": (4500, 5000),
    "test": (5000, 6000),
}
CLASSES = 10


@lru_cache(maxsize=1)
def _decoded() -> tuple[Tensor, Tensor]:
    data = load(cache=False)
    images = torch.cat([data.train.images, data.validation.images]).float()
    return images, torch.cat([data.train.labels, data.validation.labels])


@lru_cache(maxsize=8)
def sample(side: int, *, grey: bool = True, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Images ``(6000, C, side, side)`` with mean 0 and deviation 1, and labels ``(6000,)``.

    C is 1 for grey images and 3 otherwise; ``side`` is at most 32. The rows of the splits are
    `ROWS`.
    """
    images, labels = _decoded()
    if grey:
        images = images.mean(1, keepdim=True)
    if side != images.shape[-1]:
        images = functional.interpolate(images, (side, side), mode="area")
    return ((images - images.mean()) / images.std()).to(device), labels.to(device)


def draw_rows(count: int, size: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
    """Row numbers ``(count, size)`` of `sample`; those of train are folded by `rows_of`."""
    first, last = ROWS[split]
    if split == "train":
        return (torch.randint(2**30, (count, size), generator=generator),)
    return (-1 - torch.randint(first, last, (count, size), generator=generator),)


def rows_of(drawn: Tensor, train_rows: Tensor) -> Tensor:
    """Rows of `sample` for what `draw_rows` gave, the first ``train_rows`` of train alone."""
    return torch.where(drawn >= 0, drawn % train_rows, -1 - drawn)
