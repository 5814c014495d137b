"""What a graph asks of a decoder, which stays the same for every prediction."""

from typing import NamedTuple

import torch
from torch import Tensor

from nascence.hypernet.layout import Layout

Size = tuple[int, int, int, int]


class Group(NamedTuple):
    """Kernels of one kind and size ``(out, in, kh, kw)``, decoded together."""

    kind: str
    size: Size
    nodes: Tensor  # (n,)
    gains: Tensor  # (n, 1, 1, 1, 1)
    items: list[Layout]


class Plan(NamedTuple):
    """What a graph asks of the decoder, made once for each graph and kind of hypernetwork."""

    rows: Tensor  # (N, 5) rows of the embedding tables
    groups: list[Group]
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
