"""Shapes of traced layers against a real forward pass, and what each layer becomes."""

import pytest
import torch
from torch import Tensor, nn

from nascence.graph import count_macs, trace


class Sized(nn.Module):
    """Keeps the shape that the layer's output claims to have while it is traced."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        self.seen.append(tuple(x.shape))
        return x


@pytest.mark.parametrize(
    ("layer", "shape", "op"),
    [
        (nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), groups=2), (2, 4, 9, 8), "sep_conv"),
        (nn.Conv2d(4, 4, 3, dilation=2, groups=4, bias=False), (4, 9, 9), "dil_conv"),
        (nn.Conv1d(4, 6, 3, padding="same", dilation=2), (2, 4, 9), "conv"),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1), (2, 4, 5, 5), "conv_transpose"),
        (nn.MaxPool2d(3, 2, 1, ceil_mode=True), (2, 4, 8, 7), "max_pool"),
        (nn.AvgPool1d(2), (2, 4, 7), "avg_pool"),
        (nn.AdaptiveAvgPool2d(1), (2, 4, 8, 7), "glob_avg"),
        (nn.AdaptiveAvgPool2d((None, 2)), (2, 4, 8, 7), "avg_pool"),
        (nn.AdaptiveMaxPool3d(2), (2, 4, 5, 5, 5), "max_pool"),
        (nn.LayerNorm(6), (2, 3, 6), "ln"),
        (nn.RMSNorm(6), (2, 3, 6), "ln"),
        (nn.InstanceNorm2d(4, affine=True), (2, 4, 5, 5), "instance_norm"),
        (nn.BatchNorm3d(4), (2, 4, 3, 3, 3), "bn"),
    ],
)
def test_shape_and_operation(layer: nn.Module, shape: tuple[int, ...], op: str) -> None:
    model = Sized(layer).eval()
    x = torch.zeros(shape)
    graph = trace(model, x)
    model(x)
    assert graph.nodes[1].op == op
    expected = model.seen[-1]
    model.seen.clear()
    trace_shape: list[tuple[int, ...]] = []
    hook = layer.register_forward_hook(lambda m, i, out: trace_shape.append(tuple(out.shape)))
    trace(model, x)
    hook.remove()
    assert trace_shape == [expected]
    if any(isinstance(layer, kind) for kind in (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)):
        assert graph.macs == count_macs(layer, x)


class Means(nn.Module):
    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.layer, self.axes = nn.Linear(4, 4), axes

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).mean(self.axes)


def test_a_mean_over_all_positions_is_global_pooling() -> None:
    for shape, axes, ops in (
        ((2, 5, 4), (1,), ["glob_avg"]),
        ((2, 5, 5, 4), (1, 2), ["glob_avg"]),
        ((2, 5, 4), (2,), []),
        ((2, 5, 5, 4), (1,), []),
    ):
        graph = trace(Means(axes), torch.zeros(shape))
        assert [node.op for node in graph.nodes] == ["input", "conv", "bias", *ops], (shape, axes)


@pytest.mark.parametrize(("layers", "both"), [(1, False), (2, True)])
def test_recurrent_layers_own_all_weights_and_count_their_products(layers: int, both: bool) -> None:
    layer = nn.LSTM(3, 5, num_layers=layers, bidirectional=both, batch_first=True)
    graph = trace(layer, torch.zeros(2, 7, 3))
    assert [node.op for node in graph.nodes] == ["input", "recurrent"]
    weights = [p for p in layer.parameters() if p.dim() > 1]
    assert graph.macs == 2 * 7 * sum(weight.numel() for weight in weights)
    assert len(graph.parameters) == len(list(layer.parameters()))


class Stacks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.table = nn.Linear(4, 4), nn.Linear(4, 4), nn.Embedding(9, 4)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        both = torch.stack([self.a(x), self.b(x)], dim=1)
        assert both.shape == (2, 2, 4)
        found = self.table(index)
        assert found.shape == (2, 3, 4)
        return torch.concatenate([both, found], dim=1)


def test_stacks_and_look_ups() -> None:
    graph = trace(Stacks(), torch.zeros(2, 4), torch.zeros(2, 3, dtype=torch.long))
    ops = [node.op for node in graph.nodes]
    assert ops.count("concat") == 2
    assert ops.count("embedding") == 1
    table = ops.index("embedding")
    assert graph.predecessors[table] == (ops.index("input", 1),)
