"""Shortest paths between all nodes of a directed acyclic graph: the virtual edges."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CUTOFF = 50


def shortest_paths(
    predecessors: Sequence[Sequence[int]], *, cutoff: int = CUTOFF
) -> NDArray[np.uint8]:
    """``(N, N)`` numbers of edges from node ``u`` to node ``v`` at ``[v, u]``, 0 for no path.

    Paths longer than ``cutoff`` edges count as no path. Every node must come after its
    predecessors, so a row follows from the rows of the predecessors: d(u, v) =
    1 + min over the edges (w, v) of d(u, w), which costs one minimum per edge of rows of N.

    Raises:
        ValueError: ``cutoff`` is not in 1 to 254, or a node comes before its predecessor.
    """
    if not 0 < cutoff < 255:
        raise ValueError(f"cutoff is {cutoff}; it must be between 1 and 254")
    count = len(predecessors)
    far = cutoff + 1
    distance = np.full((count, count), far, dtype=np.uint8)
    for node, sources in enumerate(predecessors):
        row = distance[node]
        if sources:
            if max(sources) >= node:
                raise ValueError(f"node {node} comes before its predecessor {max(sources)}")
            if len(sources) == 1:
                np.add(distance[sources[0]], 1, out=row)
            else:
                np.add(distance[list(sources)].min(axis=0), 1, out=row)
            np.minimum(row, far, out=row)
        row[node] = 0
    distance[distance == far] = 0
    return distance
