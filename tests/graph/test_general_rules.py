"""Views, casts and constants in the graph; reading a value is refused."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.graph import GraphError, trace
from nascence.graph.general_rules import argument, as_tuple, function_name


def test_small_readers_of_arguments() -> None:
    assert argument((1, 2), {"b": 3}, 1, "b") == 2
    assert argument((1,), {"b": 3}, 1, "b") == 3
    assert argument((1,), {}, 1, "b", 4) == 4
    assert as_tuple(3) == (3,)
    assert as_tuple([3, 4]) == (3, 4)
    assert function_name(torch.relu) == "relu"
    assert function_name(Tensor.shape.__get__) == "shape"


class Plumbing(nn.Module):
    """Views, casts, constants and assignments between two layers: no nodes of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        assert x.device.type == "cpu"
        b = x.shape[0]
        x = x.double().to(torch.float32).view(b, 2, -1).transpose(1, 2).contiguous()
        x = torch.cat([x, torch.zeros_like(x)], dim=1).reshape(b, -1)
        out = x.new_zeros(b, 4)
        out[:, :4] = x[:, :4]
        return self.last(out)


def test_plumbing_passes_its_sources_on() -> None:
    model = Plumbing()
    model(torch.zeros(3, 6))
    graph = trace(model, torch.zeros(3, 6))
    assert [node.op for node in graph.nodes] == ["input", "conv", "bias", "conv", "bias"]


class Unknown(nn.Module):
    """Functions without a rule, with and without a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.scale = nn.Parameter(torch.zeros(5, 4, 4)), nn.Parameter(torch.ones(4))
        self.last = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.lerp(x, x.roll(1, 0), self.scale)
        return self.last(F.bilinear(x, x, self.weight))


def test_functions_without_a_rule_own_the_parameters_that_they_meet() -> None:
    model = Unknown()
    graph = trace(model, torch.zeros(3, 4))
    assert {p.name for p in graph.parameters} == {name for name, _ in model.named_parameters()}
    assert [node.op for node in graph.nodes][:3] == ["input", "layer_scale", "conv"]
    assert model(torch.zeros(3, 4)).shape == (3, 5)


@pytest.mark.parametrize(
    "reading",
    [
        lambda x: float(x.sum()),
        lambda x: x.max().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x.nonzero(),
        lambda x: x.numpy(),
        lambda x: x.tolist(),
        lambda x: x[x > 0],
    ],
)
def test_reading_a_value_is_refused(reading) -> None:
    class Reads(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            reading(x)
            return x

    with pytest.raises(GraphError, match="Reads"):
        trace(Reads(), torch.zeros(2, 2))


def test_values_of_constants_may_be_read() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("index", torch.tensor([1, 0]))
            self.layer = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x[:, self.index.tolist()]) * float(torch.arange(3).sum())

    assert len(trace(Constant(), torch.zeros(1, 2))) == 3
