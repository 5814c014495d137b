"""Order, outputs and loops of recorded operations."""

from dataclasses import dataclass

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nascence.graph import trace
from nascence.graph.ordering import _depth_first


@st.composite
def digraphs(draw) -> list[list[int]]:
    """Sources of every node, cycles and self-loops among them."""
    count = draw(st.integers(1, 9))
    return [sorted(draw(st.sets(st.integers(0, count - 1), max_size=3))) for _ in range(count)]


@given(digraphs())
def test_order_is_topological_but_for_the_loops(sources: list[list[int]]) -> None:
    order, loops = _depth_first(sources)
    assert sorted(order) == list(range(len(sources)))
    place = {node: index for index, node in enumerate(order)}
    for node, row in enumerate(sources):
        for source in row:
            assert (source, node) in loops or place[source] < place[node]
    # a graph that has an order needs no loops
    if all(source < node for node, row in enumerate(sources) for source in row):
        assert not loops


@dataclass
class Result:
    first: Tensor
    others: dict[str, list[Tensor]]


class Heads(nn.Module):
    """Outputs packed in a data class, a dict and a list; one branch reaches none of them."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.one, self.two = (nn.Linear(4, 4, bias=False) for _ in range(3))

    def forward(self, x: Tensor) -> Result:
        x = self.body(x)
        torch.relu(x).sum()
        return Result(self.one(x), {"two": [self.two(x)], "input": [x]})


def test_outputs_are_found_however_they_are_packed() -> None:
    graph = trace(Heads(), torch.zeros(1, 4))
    outputs = {graph.nodes[index].module for index in graph.outputs}
    assert outputs == {"one", "two", "body"}
    assert len(graph) == 4


class Loop(nn.Module):
    """One layer applied three times: a chain closed to a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.b(self.a(x))
        return x


def test_a_repeated_chain_has_one_loop() -> None:
    graph = trace(Loop(), torch.zeros(1, 4))
    assert [node.module for node in graph.nodes] == ["", "a", "b"]
    assert graph.edges == ((0, 1), (1, 2))
    assert graph.loops == ((2, 1),)
    assert graph.macs == 3 * 2 * 16
