"""What a graph asks of a decoder, which stays the same for every prediction."""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from nascence.hypernet.layout import Layout

Size = tuple[int, int, int, int]

# values of one block of kernels that are decoded before they are written: they stay in the cache
_BLOCK = 2**18


class Group(NamedTuple):
    """Kernels of one kind and size ``(out, in, kh, kw)``, decoded together."""

    kind: str
    size: Size
    nodes: Tensor  # (n,)
    gains: Tensor  # (n, 1, 1, 1, 1)
    items: list[Layout]

    def parts(self) -> Iterator["Group"]:
        """The same in groups of at most ``_BLOCK`` values, at least one kernel in each."""
        step = max(1, _BLOCK // prod(self.size))
        for start in range(0, len(self.items), step):
            rows = slice(start, start + step)
            yield Group(self.kind, self.size, self.nodes[rows], self.gains[rows], self.items[rows])


class Plan(NamedTuple):
    """What a graph asks of the decoder, made once for each graph and kind of hypernetwork."""

    rows: Tensor  # (N, 5) rows of the embedding tables
    groups: list[Group]
    parts: list[Group]
    vector_nodes: Tensor
    vectors: list[Layout]
    total: int


def group(kind: str, size: Size, found: list[tuple[int, Layout]], gains: list[float]) -> Group:
    """Kernels of ``found``, pairs of node and layout, with the factors of their fan-in."""
    return Group(
        kind,
        size,
        torch.tensor([node for node, _ in found]),
        torch.tensor(gains)[:, None, None, None, None],
        [item for _, item in found],
    )
