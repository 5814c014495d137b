"""Images and labels as arrays, and what is measured of them."""

import hashlib
import json
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CACHED = 1 << 18  # values that stay in the processor's cache as float32
WHOLE = 1 << 30  # bytes up to which the hash covers everything
PIECE = 1 << 20
WINDOW = 1 << 28  # bytes of a mapped array that are held in memory


@dataclass(frozen=True)
class Stored:
    """What is written beside the pixels."""

    train_shape: tuple[int, ...]
    validation_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: tuple[str, ...]
    fingerprint: str


Arrays = dict[str, NDArray[Any]]
NAMES = {
    "train_images": np.uint8,
    "train_labels": np.int64,
    "validation_images": np.uint8,
    "validation_labels": np.int64,
}


class Pages:
    """Gives memory of an array that is mapped from a file back, again and again.

    The pages that were read or written stay in the file, and are read again where they are needed:
    so an array of any size takes about ``WINDOW`` bytes of memory.

    Args:
        array: ``(N, ...)`` of any type; nothing is done for one in memory.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        mapped = getattr(array, "_mmap", None)
        self._mapped: mmap.mmap | None = mapped if hasattr(mapped, "madvise") else None
        self._bytes = 0

    def touched(self, size: int) -> None:
        """Note that ``size`` more bytes were read or written."""
        self._bytes += size
        if self._mapped is not None and self._bytes > WINDOW:
            self._mapped.madvise(mmap.MADV_DONTNEED)
            self._bytes = 0


def statistics(images: NDArray[np.generic]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation ``(C,)`` of images ``(N, C, H, W)`` scaled to [0, 1].

    The deviation is at least 1/255.
    """
    first = np.zeros(images.shape[1])
    second = np.zeros(images.shape[1])
    size = int(np.prod(images.shape[2:]))
    rows = max(1, CACHED // (size * images.shape[1]))
    pages = Pages(images)
    for start in range(0, len(images), rows):
        block = images[start : start + rows].reshape(-1, images.shape[1], size).astype(np.float32)
        pages.touched(block.size)
        first += block.sum(2).sum(0, dtype=np.float64)
        second += np.einsum("nci,nci->nc", block, block).sum(0, dtype=np.float64)
    mean = first / (255 * size * len(images))
    variance = second / (255**2 * size * len(images)) - mean**2
    deviation = np.sqrt(np.maximum(variance, 1 / 255**2))
    return tuple(mean.tolist()), tuple(deviation.tolist())


def fingerprint(arrays: Arrays, class_names: Sequence[str]) -> str:
    """SHA-256 of shapes, contents and class names.

    Above a gigabyte, 1,024 pieces of a megabyte spread over each array stand for it.
    """
    digest = hashlib.sha256(json.dumps(list(class_names)).encode())
    for name in NAMES:
        array = arrays[name]
        digest.update(f"{name} {array.shape}".encode())
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        pages = Pages(array)
        whole = len(data) <= WHOLE
        starts = range(0, len(data), PIECE)
        for start in starts if whole else (i * (len(data) - PIECE) // 1023 for i in range(1024)):
            digest.update(data[start : start + PIECE])
            pages.touched(PIECE)
    return digest.hexdigest()
