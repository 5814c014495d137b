"""Hold out images for validation, the same share of every class."""

import numpy as np
from numpy.typing import NDArray

from nascence.data.source import Labels

Index = NDArray[np.intp]


def stratified_split(labels: Labels, fraction: float, seed: int) -> tuple[Index, Index]:
    """Indices of training and of validation images, each ascending.

    Of a class with ``n`` images, ``round(fraction * n)`` are held out, but at least one and at
    most ``n - 1``; a class with one image keeps it for training. The choice depends on the labels,
    the fraction and the seed alone.
    """
    generator = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held_out[generator.permutation(members)[:count]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
