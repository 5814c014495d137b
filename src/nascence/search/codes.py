"""Architectures as points and scores as values, for what is fitted on them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from nascence.search.support_vectors import Array
from nascence.spaces import Coded, SearchSpace
from nascence.spaces.decisions import one_hot


def coder(space: SearchSpace) -> Callable[[Any], Array]:
    """Return what writes architectures ``(n, decisions)`` as points ``(n, codes)``, float64.

    A :class:`nascence.spaces.Coded` space says how; the points of any other are the one-hot codes
    of all decisions side by side.
    """
    return space.codes if isinstance(space, Coded) else partial(one_hot, decisions=space.decisions)


def finite(scores: Sequence[float]) -> Array:
    """Scores ``(n,)`` in which those that are not finite have the least of those that are."""
    values = np.array(scores, dtype=np.float64)
    known = np.isfinite(values)
    return np.where(known, values, values[known].min() if known.any() else 0.0)
