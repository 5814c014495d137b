"""Images that occur more than once, which must not be learned from and judged by at once."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from nascence.data.arrays import Pages
from nascence.data.source import Labels

Index = NDArray[np.intp]
LOOKED_AT = 4096
"""Values of an image that are compared, spread evenly over it."""


def digests(images: NDArray[np.uint8], kept: Index) -> NDArray[np.uint64]:
    """A number for each of the images ``(N, C, H, W)`` at ``kept``, equal for equal ones."""
    pages = Pages(images)
    step = max(int(np.prod(images.shape[1:])) // LOOKED_AT, 1)
    found = np.empty(len(kept), np.uint64)
    for place, row in enumerate(kept):
        content = images[row].reshape(-1)[::step].tobytes()
        found[place] = np.frombuffer(hashlib.blake2b(content, digest_size=8).digest(), np.uint64)[0]
        pages.touched(images[row].nbytes)
    return found


def apart(held_in: Index, held_out: Index, of: NDArray[np.uint64]) -> tuple[Index, Index]:
    """Move held-out images that are copies of others to those that are learned from.

    Nothing is moved where nothing else would be held out.

    Args:
        held_in: Ascending places of what is learned from, ``(M,)``.
        held_out: Ascending places of the rest, ``(N - M,)``.
        of: What :func:`digests` gave of every place, ``(N,)``.
    """
    values, counts = np.unique(of, return_counts=True)
    copied = np.isin(of[held_out], values[counts > 1])
    if not copied.any() or copied.all():
        return held_in, held_out
    return np.sort(np.concatenate((held_in, held_out[copied]))), held_out[~copied]


def remarks(of: NDArray[np.uint64], labels: Labels, validation: NDArray[np.uint64]) -> list[str]:
    """What to say about copies among the training images, and between them and the others.

    Args:
        of: Digests of the training images, ``(N,)``.
        labels: Their classes, ``(N,)``.
        validation: Digests of the validation images, ``(V,)``.
    """
    values, first, counts = np.unique(of, return_index=True, return_counts=True)
    lines = []
    if extra := int((counts - 1).sum()):
        inverse = np.searchsorted(values, of)
        doubtful = len(np.unique(inverse[labels != labels[first][inverse]]))
        line = f"{extra:,} image{'s are copies' if extra > 1 else ' is a copy'} of another one"
        if doubtful:
            line += (
                f"; {doubtful:,} image{'s have' if doubtful > 1 else ' has'} copies in two classes"
            )
        lines.append(line)
    if shared := int(np.isin(validation, values).sum()):
        lines.append(
            f"{shared:,} validation image{'s are copies' if shared > 1 else ' is a copy'} of "
            "training images: the accuracy is higher than on new ones"
        )
    return lines
