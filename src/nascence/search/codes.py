"""Architectures as points and scores as values, for what is fitted on them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from nascence.search.support_vectors import Array
from nascence.spaces import SearchSpace


def coder(space: SearchSpace) -> Callable[[Any], Array]:
    """Return what writes architectures, (n, decisions), as points: (n, codes), float64.

    A space that has ``codes`` says how; the points of any other are the one-hot codes of all
    decisions side by side, those of :meth:`nascence.spaces.ProductSpace.encode`.
    """
    if hasattr(space, "codes"):
        return space.codes
    sizes = [len(decision.choices) for decision in space.decisions]
    return partial(_one_hot, sizes=sizes)


def _one_hot(architectures: Any, *, sizes: list[int]) -> Array:
    starts = np.cumsum([0, *sizes[:-1]])
    indices = np.asarray(architectures, dtype=np.int64).reshape(-1, len(sizes))
    codes = np.zeros((len(indices), sum(sizes)))
    np.put_along_axis(codes, indices + starts, 1.0, axis=1)
    return codes


def finite(scores: Sequence[float]) -> Array:
    """Scores in which those that are not finite have the least of those that are."""
    values = np.array(scores, dtype=np.float64)
    known = np.isfinite(values)
    return np.where(known, values, values[known].min() if known.any() else 0.0)
