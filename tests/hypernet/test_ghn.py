"""Predictions against layers applied by hand, and published sizes."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from nascence.graph import Graph, GraphError, trace
from nascence.hypernet import GHN

SMALL = (8, 8, 3, 3)


def parameters(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def network(classes: int = 10) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 12, 5, padding=2),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 20, 3, groups=4, bias=False),
        nn.GroupNorm(2, 20),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(20, classes),
    )


IMAGE = torch.empty(2, 3, 8, 8)


def test_sizes_of_the_paper() -> None:
    assert parameters(GHN.ghn1()) == 1_620_668
    assert parameters(GHN.ghn2()) == 1_620_764
    assert parameters(GHN.mlp()) == 1_614_396
    assert parameters(GHN.ghn2(classes=1000, max_shape=(64, 64, 16, 16))) == 2_319_720


@pytest.mark.parametrize("graph_network", ["gated", "mlp", "graphormer"])
@pytest.mark.parametrize("decoder", ["conv", "low_rank"])
def test_predictions_fit_the_network_and_carry_gradients(graph_network: str, decoder: str) -> None:
    torch.manual_seed(0)
    ghn = GHN(
        width=8, max_shape=SMALL, graph_network=graph_network, decoder=decoder, rank=4, heads=2
    )
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (params,) = ghn([trace(model, IMAGE)])
    assert list(params) == [name for name, _ in model.named_parameters()]
    for name, value in model.named_parameters():
        assert params[name].shape == value.shape
    functional_call(model, params, (torch.randn(2, 3, 8, 8),)).square().sum().backward()
    for name, value in ghn.named_parameters():
        assert value.grad is not None or (decoder == "low_rank" and "class" in name), name
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name])


def test_written_and_differentiable_predictions_are_equal() -> None:
    torch.manual_seed(0)
    ghn = GHN(width=8, max_shape=SMALL)
    graph = trace(network(), IMAGE)
    (joined,) = ghn([graph])
    with torch.no_grad():
        (written,) = ghn([graph])
        old = {name: value.clone() for name, value in written.items()}
        for value in written.values():
            value.zero_()
        (again,) = ghn([graph], out=[written])
    for name, value in joined.items():
        assert torch.equal(value, old[name]), name
        assert again[name] is written[name]
        assert torch.equal(value, again[name]), name
    with torch.no_grad(), pytest.raises(ValueError, match=r"out has no parameter .*weight"):
        ghn([graph], out=[{}])


def test_values_against_layers_applied_by_hand() -> None:
    """A convolution, a norm and the classifier of one network, from the node states."""
    torch.manual_seed(0)
    ghn = GHN(width=8, max_shape=SMALL)
    graph = trace(network(), IMAGE)
    (params,) = ghn([graph])
    states = ghn.embed(graph)
    ops = [node.op for node in graph.nodes]
    grouped = states[ops.index("sep_conv")]
    (block,) = ghn.decoder([grouped[None]], [(8, 3, 3, 3)])
    kernel = block[0, torch.arange(20) % 8] * (2 / (3 * 9)) ** 0.5
    assert torch.allclose(params["3.weight"], kernel, atol=1e-6)
    scale, shift = ghn.vectors(states[ops.index("bn")]).view(2, 8)
    where = torch.arange(12) % 8
    assert torch.allclose(params["1.weight"], 2 * torch.sigmoid(scale / 2)[where], atol=1e-6)
    assert torch.allclose(params["1.bias"], torch.tanh(0.2 * shift)[where], atol=1e-6)
    (block,) = ghn.decoder([states[-2][None]], [(8, 8, 1, 1)])
    weight = ghn.decoder.class_weight(torch.relu(block[0, :, :, 0, 0]).t()).t()
    weight = weight[:, torch.arange(20) % 8] * (2 / 20) ** 0.5
    assert torch.allclose(params["7.weight"], weight, atol=1e-6)
    bias = torch.tanh(0.2 * ghn.class_bias(torch.relu(ghn.vectors(states[-1])[8:])))
    assert torch.allclose(params["7.bias"], bias, atol=1e-6)


def test_any_number_of_classes_and_the_classifier_by_its_place() -> None:
    ghn = GHN(width=8, max_shape=SMALL)
    assert ghn([trace(network(37), IMAGE)])[0]["7.weight"].shape == (37, 20)

    class HeadFirst(nn.Module):
        """The classifier is registered first and another layer has as many outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.head, self.body = nn.Linear(10, 10), nn.Linear(4, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.body(x)))

    graph = trace(HeadFirst(), torch.empty(1, 4))
    assert {graph.nodes[n].module for n in graph.classifiers} == {"head"}


def test_a_graph_network_of_ones_own() -> None:
    class Nothing(nn.Module):
        def forward(self, x: Tensor, graph: Graph) -> Tensor:
            return x

    ghn = GHN(width=8, max_shape=SMALL, graph_network=Nothing())
    assert len(ghn([trace(network(), IMAGE)])[0]) == 9


def test_several_graphs_and_the_cached_plan_of_another_hypernetwork() -> None:
    torch.manual_seed(0)
    graph = trace(network(), IMAGE)
    small, large = GHN(width=8, max_shape=SMALL), GHN(width=8, max_shape=(16, 16, 5, 5))
    first = small([graph])[0]
    large([graph])
    both = small([graph, graph])
    assert all(torch.equal(first[name], both[1][name]) for name in first)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="graph_network is 'cnn'"):
        GHN(width=8, graph_network="cnn")
    with pytest.raises(ValueError, match="decoder is 'mlp'"):
        GHN(width=8, decoder="mlp")
    ghn = GHN(width=8, max_shape=SMALL, decoder="low_rank", rank=2)
    wide = trace(nn.Linear(4000, 3), torch.empty(1, 4000))
    with pytest.raises(GraphError, match="parameter weight has 4000 channels"):
        ghn([wide])
    with pytest.raises(TypeError, match="list of graphs"):
        ghn(wide)


def test_ten_thousand_nodes() -> None:
    model = nn.Sequential(*(nn.Linear(2, 2, bias=False, device="meta") for _ in range(2_000)))
    graph = trace(model, torch.empty(1, 2, device="meta"))
    with torch.no_grad():
        assert len(GHN(width=8, max_shape=SMALL)([graph])[0]) == 2_000
