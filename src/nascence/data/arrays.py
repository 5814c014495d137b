"""Images and labels as arrays, and what is measured of them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CACHED = 1 << 18  # values that stay in the processor's cache as float32
WHOLE = 1 << 30  # bytes up to which the hash covers everything
PIECE = 1 << 20


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


def statistics(images: NDArray[np.generic]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation ``(C,)`` of images ``(N, C, H, W)`` scaled to [0, 1].

    The deviation is at least 1/255.
    """
    first = np.zeros(images.shape[1])
    second = np.zeros(images.shape[1])
    size = int(np.prod(images.shape[2:]))
    rows = max(1, CACHED // (size * images.shape[1]))
    for start in range(0, len(images), rows):
        block = images[start : start + rows].reshape(-1, images.shape[1], size).astype(np.float32)
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
        if len(data) <= WHOLE:
            digest.update(data)
            continue
        for index in range(1024):
            start = index * (len(data) - PIECE) // 1023
            digest.update(data[start : start + PIECE])
    return digest.hexdigest()
