"""The level-batched passes against one node, one message at a time."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.graph import Graph, trace
from nascence.hypernet import GatedGraphNetwork, NodeNetwork


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        a = self.layers[0](x)
        b = self.layers[1](a) + self.layers[2](x)
        c = torch.cat([self.layers[3](b)[:, :2], self.layers[4](a)[:, :2]], dim=1)
        return self.layers[5](c + b)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return trace(Branches(), torch.empty(1, 4))


def slow(network: GatedGraphNetwork, x: Tensor, graph: Graph) -> Tensor:
    """Knyazev et al. (2021), eqs. 3 and 4, message by message."""
    count = len(graph)
    paths = graph.distances
    for forward in (True, False):
        states = list(x.unbind())
        order = range(count) if forward else reversed(range(count))
        for v in order:
            m = torch.zeros_like(states[v])
            for u in range(count):
                distance = int(paths[v, u] if forward else paths[u, v])
                if distance == 1:
                    m = m + network.messages[0](states[u])
                if distance and network.channels == 2:
                    m = m + network.messages[1](states[u]) / distance
            states[v] = network.gru(m[None], states[v][None])[0]
        x = torch.stack(states)
    return x


@pytest.mark.parametrize("virtual_edges", [True, False])
def test_states_and_gradients_equal_the_slow_passes(graph: Graph, virtual_edges: bool) -> None:
    torch.manual_seed(0)
    network = GatedGraphNetwork(8, virtual_edges=virtual_edges).double()
    x = torch.randn(len(graph), 8, dtype=torch.float64, requires_grad=True)
    target = torch.randn(len(graph), 8, dtype=torch.float64)
    found, expected = network(x, graph), slow(network, x, graph)
    assert torch.allclose(found, expected, atol=1e-12)
    inputs = [x, *network.parameters()]
    for one, other in zip(
        torch.autograd.grad((found * target).sum(), inputs),
        torch.autograd.grad((expected * target).sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-11)


def test_gradients_equal_finite_differences(graph: Graph) -> None:
    torch.manual_seed(1)
    network = GatedGraphNetwork(4).double()
    x = torch.randn(len(graph), 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda value: network(value, graph), (x,))


def test_random_acyclic_graphs(generator: torch.Generator) -> None:
    from nascence.graph import Node

    torch.manual_seed(2)
    network = GatedGraphNetwork(4).double()
    for count in (1, 2, 9, 17):
        edges = tuple(
            (u, v)
            for v in range(count)
            for u in range(v)
            if float(torch.rand((), generator=generator)) < 0.25
        )
        random = Graph(tuple(Node("bn") for _ in range(count)), edges, (count - 1,))
        x = torch.randn(count, 4, dtype=torch.float64, generator=generator)
        assert torch.allclose(network(x, random), slow(network, x, random), atol=1e-12)


def test_node_network_does_not_see_the_edges(graph: Graph) -> None:
    network = NodeNetwork(8)
    x = torch.randn(len(graph), 8)
    order = torch.randperm(len(graph))
    assert torch.allclose(network(x, graph)[order], network(x[order], graph), atol=1e-6)
    first, second = network.layers[0], network.layers[2]
    assert torch.allclose(network(x, graph), F.relu(second(F.relu(first(x)))))
