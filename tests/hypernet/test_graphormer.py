"""The bias of attention against the network applied to every pair."""

import pytest
import torch
from torch import nn

from nascence.graph import trace
from nascence.hypernet import Graphormer
from nascence.hypernet.graphormer import sinusoids


def test_attention_bias_equals_the_pairwise_network() -> None:
    """One layer with a single head, every pair's bias computed on its own."""
    torch.manual_seed(0)
    network = Graphormer(4, layers=1, heads=1).double()
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    graph = trace(model, torch.empty(1, 3))
    count = len(graph)
    x = torch.randn(count, 4, dtype=torch.float64)
    found = network(x, graph)
    d = graph.distances
    h = torch.stack(
        [
            x[v]
            + network.in_degree.weight[sum(e[1] == v for e in graph.edges)]
            + network.out_degree.weight[sum(e[0] == v for e in graph.edges)]
            + network.depth.weight[d[v, 0]]
            for v in range(count)
        ]
    )
    layer = network.layers[0]
    normal = layer.attention_norm(h)
    q, k, v = layer.qkv(normal).split(4, dim=1)
    rows = []
    for a in range(count):
        scores = []
        for b in range(count):
            pair = [network.distance.weight[d[a, b]], network.distance.weight[d[b, a]]]
            scores.append(q[a] @ k[b] / 2 + network.bias(torch.cat(pair))[0])
        rows.append(torch.softmax(torch.stack(scores), 0) @ v)
    h = h + layer.project(torch.stack(rows))
    h = h + layer.mlp(layer.norm(h))
    assert torch.allclose(found, h, atol=1e-10)


def test_table_and_bad_width() -> None:
    table = sinusoids(257, 8)
    assert table[0].tolist() == [0, 1] * 4
    assert torch.allclose(table[:, 0], torch.sin(torch.arange(257.0)))
    with pytest.raises(ValueError, match="multiple of 8 heads"):
        Graphormer(12, heads=8)
