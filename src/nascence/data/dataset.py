"""Images and labels in memory, and the batches drawn from them."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from nascence.data.arrays import Pages

Batch = tuple[Tensor, Tensor]
UNEVEN = 1.5


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Attributes:
        images: uint8 ``(N, C, H, W)``, values 0 to 255; may be mapped from a file.
        labels: int64 ``(N,)``, values 0 to ``classes - 1``.
        pages: Memory of images that are mapped from a file; :meth:`take` gives it back.
    """

    images: Tensor
    labels: Tensor
    pages: Pages | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.dim() != 4:
            raise ValueError(
                f"images are {self.images.dtype} of shape {tuple(self.images.shape)}; "
                "they must be uint8 of shape (N, C, H, W)"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels are {self.labels.dtype} of shape {tuple(self.labels.shape)}; "
                f"they must be int64 of shape ({len(self.images)},)"
            )

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: Tensor) -> Batch:
        """Images and labels at ``index`` ``(B,)``: uint8 ``(B, C, H, W)`` and int64 ``(B,)``."""
        index = index.to(self.images.device)
        images = self.images.index_select(0, index)
        if self.pages is not None:
            self.pages.touched(images.nbytes)
        return images, self.labels.index_select(0, index)


@dataclass(frozen=True)
class Dataset:
    """An image classification data set, split for training and validation.

    Attributes:
        name: Where the data came from.
        train, validation: The two splits, of the same image shape.
        class_names: One name for each class, in the order of the labels.
        mean, std: Per channel of the training images scaled to [0, 1]; ``std`` is at least 1/255,
            so that a constant channel does not divide by zero.
        skipped: One line for each file that was skipped and why.
        fingerprint: Hash of images, labels and class names, to recognise the same data again.
        reading: How the source was understood, in one line: ``"4 classes from train/, validated
            on val/"``.
    """

    name: str
    train: Split
    validation: Split
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: tuple[str, ...]
    fingerprint: str
    reading: str = ""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def uneven(self) -> bool:
        """Whether the largest class has at least half as many images again as the smallest.

        Then the mean recall of the classes says more than the share of images that are right.
        """
        counts = torch.bincount(self.train.labels)
        counts = counts[counts > 0]
        return bool(counts.max() >= UNEVEN * counts.min())

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 ``(N, C, H, W)`` to float32: ``(images / 255 - mean) / std`` per channel.

        Raises:
            ValueError: The images have not the channels of the data set.
        """
        mean = torch.tensor(self.mean, device=images.device).view(-1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(-1, 1, 1)
        if images.shape[-3:-2] != mean.shape[:1]:
            raise ValueError(
                f"images of shape {tuple(images.shape)} do not have the {len(self.mean)} channels "
                f"of {self.name}"
            )
        return torch.addcmul(-mean / std, images.float(), 1 / (255 * std))

    def batch(
        self,
        size: int,
        *,
        generator: torch.Generator,
        split: Literal["train", "validation"] = "train",
    ) -> Batch:
        """A random batch without repeats: float32 normalised images and int64 labels.

        Raises:
            ValueError: ``size`` is not between 1 and the length of the split, or there is no
                split of that name.
        """
        if split not in ("train", "validation"):
            raise ValueError(f"split is {split!r}; it must be 'train' or 'validation'")
        source = self.train if split == "train" else self.validation
        _check_size(size, source)
        order = torch.randperm(len(source), generator=generator, device=generator.device)
        images, labels = source.take(order[:size])
        return self.normalise(images), labels


def epoch_order(labels: Tensor, *, balance: float = 0.0, generator: torch.Generator) -> Tensor:
    """The order in which an epoch sees its images.

    Args:
        labels: Classes of the images, ``(N,)``.
        balance: 0 shows each image once; 1 shows all classes equally often, 0.5 each in proportion
            to the square root of its size. Images of small classes come several times, some of
            large ones not in this epoch: each as often as its class demands, within one.
        generator: Source of randomness.

    Returns:
        Indices ``(N,)``.

    Raises:
        ValueError: ``balance`` is not between 0 and 1.
    """
    if not 0 <= balance <= 1:
        raise ValueError(f"balance is {balance}; it must lie between 0 and 1")
    count = len(labels)
    order = torch.randperm(count, generator=generator)
    if not balance:
        return order
    order = order[labels[order].argsort(stable=True)]  # so that each class gets its share
    weights = torch.bincount(labels).double().pow(-balance)[labels[order]]
    ends = weights.cumsum(0)
    # Systematic sampling: one point in each of N equal parts of the summed weights.
    offset = torch.rand(1, dtype=torch.float64, generator=generator)
    points = (torch.arange(count, dtype=torch.float64) + offset) * (ends[-1] / count)
    drawn = torch.searchsorted(ends, points).clamp_(max=count - 1)
    return order[drawn[torch.randperm(count, generator=generator)]]


def _check_size(size: int, split: Split) -> None:
    if not 1 <= size <= len(split):
        raise ValueError(
            f"size is {size}; this split of {len(split)} images allows 1 to {len(split)}"
        )
