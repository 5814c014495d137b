"""Element-wise functions in the graph, with the shapes of torch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nascence.graph import trace


class Pair(nn.Module):
    """Two branches that meet in one function, then a layer."""

    def __init__(self, meet: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.meet = meet
        self.a, self.b = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(3, 4, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.meet(self.a(x), self.b(x))


def gated(x: Tensor, y: Tensor) -> Tensor:
    return x * y.mean((2, 3), keepdim=True).sigmoid()


def in_place(x: Tensor, y: Tensor) -> Tensor:
    x += y
    return x


@pytest.mark.parametrize(
    ("meet", "op"),
    [
        (torch.add, "sum"),
        (lambda x, y: x - y, "sum"),
        (in_place, "sum"),
        (torch.mul, "gate"),
        (lambda x, y: x / (1 + y), "gate"),
        (gated, "cse"),
    ],
)
def test_two_activations_meet_in_one_node(meet: Callable[..., Tensor], op: str) -> None:
    graph = trace(Pair(meet), torch.zeros(1, 3, 4, 4))
    assert graph.nodes[-1].op == op
    assert len(graph.predecessors[-1]) == 2


def test_what_comes_from_one_node_stays_on_it() -> None:
    graph = trace(
        Pair(lambda x, y: torch.relu(x) * x + x**2), torch.zeros(1, 3, 4, 4), unused="keep"
    )
    assert [node.op for node in graph.nodes] == ["input", "conv"]
    assert graph.unused == ("b.weight",)


class Meets(nn.Module):
    """Parameters that meet an activation element by element."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.shift = nn.Parameter(torch.zeros(4, 1, 1))
        self.grid = nn.Parameter(torch.zeros(4, 5, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.grid + (2.0 * self.scale * x).add_(self.shift)


def test_parameters_are_scales_biases_and_positions() -> None:
    graph = trace(Meets(), torch.zeros(2, 4, 5, 5))
    assert [node.op for node in graph.nodes] == ["input", "layer_scale", "bias", "pos_enc"]
    roles = {parameter.name: parameter.role for parameter in graph.parameters}
    assert roles == {"scale": "scale", "shift": "bias", "grid": "position"}


class Shapes(nn.Module):
    """Follows a shape through broadcasting and type promotion."""

    def forward(self, x: Tensor) -> Tensor:
        y = x[:, :1] * torch.arange(3, dtype=torch.float64).view(3, 1, 1, 1)[:1]
        assert y.dtype == torch.float64
        assert y.shape == (2, 1, 4, 4)
        assert (x + 1).shape == x.shape
        return torch.maximum(x, y.float())


def test_shapes_and_types_are_those_of_torch() -> None:
    model = Shapes()
    model(torch.zeros(2, 3, 4, 4))
    assert len(trace(model, torch.zeros(2, 3, 4, 4))) == 1
