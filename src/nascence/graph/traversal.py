"""The order in which a graph network visits the nodes, and the messages that each receives."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_INVERSE = np.concatenate([[0.0], 1.0 / np.arange(1, 256)])  # of distances; 0 is no path


class Traversal:
    """One walk over all nodes, level by level.

    ``distances`` is ``(N, N)``; ``order`` lists the N nodes, ``bounds`` the ends of the levels in
    it. Nodes of one level do not depend on each other.
    """

    def __init__(self, distances: Array, levels: Sequence[int]) -> None:
        rows = np.asarray(levels, dtype=np.int64)
        self.order = np.argsort(rows, kind="stable")
        self.bounds: list[int] = [0, *np.cumsum(np.bincount(rows)).tolist()]
        self._distances = distances

    def heard(self, start: int, end: int, channels: int, dtype: Any) -> Array:
        """``(end - start, end * C)`` factors of messages to nodes ``start`` to ``end`` in order.

        Entry ``[v, u * C + c]`` multiplies message ``c`` of node ``u`` on its way to ``v``: 1 for
        an edge in channel 0, one over the distance for every path in channel 1. They are computed
        for a few rows at a time, because all of them would dominate memory.
        """
        between = self._distances[np.ix_(self.order[start:end], self.order[:end])]
        found = np.empty((end - start, end, channels), dtype=dtype)
        found[..., 0] = between == 1
        if channels == 2:
            found[..., 1] = _INVERSE.astype(dtype)[between]
        return found.reshape(end - start, end * channels)

    def told(self, start: int, end: int, channels: int, dtype: Any) -> Array:
        """``((end - start) * C, N)``: the same factors by sender, for derivatives."""
        between = self._distances[np.ix_(self.order, self.order[start:end])].T
        found = np.empty((end - start, channels, len(self.order)), dtype=dtype)
        found[:, 0] = between == 1
        if channels == 2:
            found[:, 1] = _INVERSE.astype(dtype)[between]
        return found.reshape((end - start) * channels, len(self.order))


def both_ways(
    distances: Array, levels: Sequence[int], edges: Sequence[tuple[int, int]]
) -> tuple[Traversal, Traversal]:
    """The walk along the edges and the one against them, by distances ``(N, N)``.

    ``edges`` are sorted by destination.
    """
    from_the_end = [0] * len(levels)
    for source, destination in reversed(edges):
        from_the_end[source] = max(from_the_end[source], from_the_end[destination] + 1)
    return Traversal(distances, levels), Traversal(distances.T, from_the_end)
