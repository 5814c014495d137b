"""The order in which a graph network walks a graph, and what each node hears on the way."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Traversal:
    """One walk over all nodes, level by level.

    ``order`` lists the nodes, ``bounds`` the ends of the levels in it. Nodes of one level do
    not depend on each other.
    """

    def __init__(self, distances: Array, levels: Sequence[int]) -> None:
        rows = np.asarray(levels, dtype=np.int64)
        self.order = np.argsort(rows, kind="stable")
        self.bounds: list[int] = [0, *np.cumsum(np.bincount(rows)).tolist()]
        self._distances = distances
        self._factors: dict[tuple[str, int, Any], Array] = {}

    def heard(self, channels: int, dtype: Any) -> Array:
        """``(N, N * C)`` factors of messages, rows and columns in order.

        Entry ``[v, u * C + c]`` multiplies message ``c`` of node ``u`` on its way to ``v``: 1 for
        an edge in channel 0, one over the distance for every path in channel 1.
        """
        key = ("heard", channels, np.dtype(dtype))
        if key not in self._factors:
            between = self._distances[np.ix_(self.order, self.order)]
            count = len(self.order)
            heard = np.zeros((count, count, channels), dtype=dtype)
            heard[..., 0] = between == 1
            if channels == 2:
                np.divide(1.0, between, out=heard[..., 1], where=between > 0)
            self._factors[key] = heard.reshape(count, count * channels)
        return self._factors[key]

    def told(self, channels: int, dtype: Any) -> Array:
        """``(N * C, N)``: the transpose of :meth:`heard`, which derivatives flow along."""
        key = ("told", channels, np.dtype(dtype))
        if key not in self._factors:
            self._factors[key] = np.ascontiguousarray(self.heard(channels, dtype).T)
        return self._factors[key]


def both_ways(
    distances: Array, levels: Sequence[int], edges: Sequence[tuple[int, int]]
) -> tuple[Traversal, Traversal]:
    """The walk along the edges and the walk against them; ``edges`` sorted by destination."""
    from_the_end = [0] * len(levels)
    for source, destination in reversed(edges):
        from_the_end[source] = max(from_the_end[source], from_the_end[destination] + 1)
    return Traversal(distances, levels), Traversal(distances.T, from_the_end)
