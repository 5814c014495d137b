"""Levels and factors against the edges of a graph."""

import numpy as np
import torch
from torch import nn

from nascence.graph import trace


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c(self.a(x) + torch.relu(self.b(x)))


def test_levels_come_in_order_and_factors_are_edges_and_inverse_distances() -> None:
    graph = trace(Branches(), torch.empty(1, 4))
    for walk, distances in zip(graph.traversals, (graph.distances, graph.distances.T), strict=True):
        count = len(graph)
        heard, told = walk.heard(0, count, 2, np.float64), walk.told(0, count, 2, np.float64)
        assert sorted(walk.order.tolist()) == list(range(count))
        assert np.array_equal(told, heard.T)
        assert np.array_equal(walk.heard(2, 4, 2, np.float64), heard[2:4, :8])
        assert np.array_equal(walk.told(2, 4, 2, np.float64), told[4:8])
        assert np.array_equal(walk.heard(0, count, 1, np.float64), heard[:, ::2])
        cube = heard.reshape(count, count, 2)
        for v in range(count):
            for u in range(count):
                distance = distances[walk.order[v], walk.order[u]]
                assert cube[v, u, 0] == (distance == 1)
                assert cube[v, u, 1] == (1 / distance if distance else 0)
        for start, end in zip(walk.bounds[:-1], walk.bounds[1:], strict=True):
            # nothing is heard from the same level or a later one
            assert not heard[start:end, 2 * start :].any()
