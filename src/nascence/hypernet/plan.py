"""What a decoder has to produce for a graph, which is the same for every prediction."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from nascence.graph import Graph
from nascence.hypernet.embedding import NodeEmbedding
from nascence.hypernet.layout import Layout, layout

Size = tuple[int, int, int, int]


class Group(NamedTuple):
    """Kernels of one kind and size ``(out, in, kh, kw)``, decoded together."""

    kind: str
    size: Size
    nodes: Tensor  # (n,)
    gains: Tensor  # (n, 1, 1, 1, 1)
    items: list[Layout]


class Plan(NamedTuple):
    """What the decoder has to produce, worked out once per graph and kind of hypernetwork."""

    rows: Tensor  # (N, 5) rows of the embedding tables
    groups: list[Group]
    vector_nodes: Tensor
    vectors: list[Layout]
    total: int


def make_plan(
    graph: Graph,
    embedding: NodeEmbedding,
    classes: int,
    asked: Callable[[Layout], Size],
    gain: Callable[[Layout], float],
) -> Plan:
    """Return the plan of ``graph``.

    ``asked`` says which part of a kernel the decoder predicts before it is repeated, and ``gain``
    what that is multiplied by.
    """
    layouts = [
        [
            layout(parameter, node, classifier=n in graph.classifiers, classes=classes)
            for parameter in node.parameters
        ]
        for n, node in enumerate(graph.nodes)
    ]
    kernels: dict[tuple[str, Size], list[tuple[int, Layout]]] = {}
    vectors = []
    for node, row in enumerate(layouts):
        for item in row:
            if len(item.size) == 4:
                kernels.setdefault((item.kind, asked(item)), []).append((node, item))
            else:
                vectors.append((node, item))
    groups = []
    for (kind, size), found in kernels.items():
        nodes = torch.tensor([node for node, _ in found])
        gains = torch.tensor([gain(item) for _, item in found])
        items = [item for _, item in found]
        groups.append(Group(kind, size, nodes, gains[:, None, None, None, None], items))
    return Plan(
        torch.from_numpy(embedding.indices(graph, layouts)),
        groups,
        torch.tensor([node for node, _ in vectors], dtype=torch.int64),
        [item for _, item in vectors],
        graph.parameter_count,
    )
