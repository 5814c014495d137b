"""What a reader hands on: images, encoded or as arrays, with checked labels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nascence.data.errors import DataError

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Item:
    """One encoded image: its name for messages, and a file or bytes (``None``: absent)."""

    name: str
    content: Path | bytes | None


@dataclass(frozen=True)
class EncodedImages:
    """Encoded images in the order of their labels.

    Attributes:
        labels: int64 ``(N,)``.
        blocks: Starts a pass over all items, some at a time.
        probe: Items spread over the set, from which size and channels are judged.
    """

    labels: Labels
    blocks: Callable[[], Iterator[list[Item]]]
    probe: Callable[[], list[Item]]


@dataclass(frozen=True)
class ArrayImages:
    """Images that need no decoding: uint8 ``(N, C, H, W)`` and int64 ``(N,)``."""

    images: NDArray[np.uint8]
    labels: Labels


Part = EncodedImages | ArrayImages


@dataclass(frozen=True)
class Source:
    """A data set before decoding, resizing and splitting.

    Attributes:
        class_names: One name for each class, in the order of the labels.
        train, validation: The two parts; without the second, some of the first are held out.
        origins: Where the two were found, in words: ``("train/", "val/")``.
        skipped: One line for each thing that is not read.
        files: What the content depends on; ``None`` where nothing needs caching.
    """

    class_names: tuple[str, ...]
    train: Part
    validation: Part | None
    origins: tuple[str, str | None] = ("all images", None)
    skipped: tuple[str, ...] = ()
    files: tuple[Path, ...] | None = None


def evenly(count: int, most: int = 1000) -> list[int]:
    """At most ``most`` positions spread evenly over ``range(count)``."""
    if count <= most:
        return list(range(count))
    return [index * count // most for index in range(most)]


def check_labels(labels: NDArray[Any], where: str, names: tuple[str, ...] | None) -> Labels:
    """Labels as int64 ``(N,)``, each a valid class when ``names`` are given.

    Raises:
        DataError: A label is not a whole number, negative, or not below ``len(names)``; the
            message names the first such row.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(
            f"labels of {where} have shape {labels.shape}; allowed is one number for each image: "
            "store class indices, not one-hot rows"
        )
    if labels.dtype.kind not in "iu":
        shown = f"; row 0 is {labels[0]!r}" if len(labels) else ""
        raise DataError(
            f"labels of {where} are {labels.dtype}{shown}; allowed are whole numbers from 0: "
            "store them as an integer type"
        )
    limit = len(names) if names is not None else np.iinfo(np.int32).max
    bad = np.flatnonzero((labels < 0) | (labels >= limit))
    if len(bad):
        allowed = f"0 to {limit - 1}" if names is not None else "0 and above"
        raise DataError(
            f"label {labels[bad[0]]} in row {bad[0]} of {where} is out of range "
            f"({len(bad)} such rows); allowed is {allowed}: correct or remove these rows"
        )
    return labels.astype(np.int64)


def name_classes(train: Labels, validation: Labels | None, where: str) -> tuple[str, ...]:
    """Names for labels that came without: their numbers, which must leave no gap.

    Raises:
        DataError: A number between 0 and the largest label does not occur in the training labels,
            so that one of them is out of range; the message names a row.
    """
    present = np.unique(train)
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if len(gaps):
        label = present[gaps[0]]
        row = np.flatnonzero(train == label)[0]
        raise DataError(
            f"label {label} in row {row} of {where} is out of range: no image has label {gaps[0]}; "
            f"allowed is 0 to {len(present) - 1} for {len(present)} classes without a gap: "
            "renumber the labels or store class names"
        )
    names = tuple(str(label) for label in present)
    if validation is not None:
        check_labels(validation, f"the validation part of {where}", names)
    return names
