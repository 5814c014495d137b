"""Initial node states: what a node does and how large its parameter is."""

from bisect import bisect_left

import numpy as np
import torch
from torch import Tensor, nn

from nascence.graph import NEAREST_PRIMITIVE, OPERATIONS, PRIMITIVES, Graph
from nascence.hypernet.layout import Layout


def channel_sizes(classes: int) -> list[int]:
    """Channel counts with an embedding of their own: Knyazev et al. (2021), appendix."""
    sizes = {1, 3, classes, *range(8, 57, 8), *range(64, 4096, 16), *range(4096, 8193, 32)}
    return sorted(sizes)


def kernel_sizes(largest: int) -> list[int]:
    """Kernel sizes with an embedding of their own."""
    return sorted({*range(1, max(12, largest), 2), 14, 16})


def nearest(sizes: list[int], value: int) -> int:
    """Return the index of the entry of sorted ``sizes`` nearest to ``value``; ties go up."""
    right = min(bisect_left(sizes, value), len(sizes) - 1)
    if right and value - sizes[right - 1] < sizes[right] - value:
        return right - 1
    return right


class NodeEmbedding(nn.Module):
    """Node states ``(N, width)``: the operation's row plus four shape rows side by side.

    Output and input channels share one table, kernel heights and widths another. A node
    without parameters has the dummy row of both. ``vocabulary="paper"`` has the fifteen
    operations of the paper and maps later ones to the nearest; ``"extended"`` embeds all.

    Raises:
        ValueError: The vocabulary is unknown, or ``width`` is no multiple of 4.
    """

    def __init__(self, width: int, classes: int, largest: int, vocabulary: str) -> None:
        super().__init__()
        if vocabulary not in ("paper", "extended"):
            raise ValueError(f"vocabulary is {vocabulary!r}; it must be 'paper' or 'extended'")
        if width % 4:
            raise ValueError(f"width is {width}; it must be a multiple of 4")
        known = PRIMITIVES if vocabulary == "paper" else OPERATIONS
        self._index = {op: known.index(op) for op in known}
        for op, near in NEAREST_PRIMITIVE.items():
            self._index.setdefault(op, self._index[near])
        self._channels = channel_sizes(classes)
        self._kernels = kernel_sizes(largest)
        self._channel_rows: dict[int, int] = {}
        self.operations = nn.Embedding(len(known), width)
        self.kernels = nn.Embedding(len(self._kernels) + 1, width // 4)
        self.channels = nn.Embedding(len(self._channels) + 1, width // 4)

    def indices(self, graph: Graph, layouts: list[list[Layout]]) -> np.ndarray:
        """``(N, 5)`` rows of the tables: operation, two of channels, two of kernels."""
        dummy = (len(self._channels),) * 2 + (len(self._kernels),) * 2
        rows = np.empty((len(graph), 5), dtype=np.int64)
        for row, node, parameters in zip(rows, graph.nodes, layouts, strict=True):
            row[0] = self._index[node.op]
            if not parameters:
                row[1:] = dummy
                continue
            size = parameters[0].size
            out, inner, height, width = size if len(size) == 4 else (size[0], 1, 1, 1)
            row[1:] = (
                self._channel(out),
                self._channel(inner),
                nearest(self._kernels, height),
                nearest(self._kernels, width),
            )
        return rows

    def _channel(self, value: int) -> int:
        row = self._channel_rows.get(value)
        if row is None:
            row = self._channel_rows[value] = nearest(self._channels, value)
        return row

    def forward(self, rows: Tensor) -> Tensor:
        """States ``(N, width)`` from ``(N, 5)`` table rows."""
        shapes = torch.cat(
            [self.channels(rows[:, 1:3]).flatten(1), self.kernels(rows[:, 3:5]).flatten(1)], dim=1
        )
        out: Tensor = self.operations(rows[:, 0]) + shapes
        return out
