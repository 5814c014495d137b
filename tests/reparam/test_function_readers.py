"""Each spelling of a linear operator is read as what it computes."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.reparam.linear_graph import TracedGraph
from nascence.reparam.operators import (
    ChannelAffine,
    Commuting,
    Concatenation,
    Convolution,
    FilledPadding,
    Sum,
)
from nascence.reparam.tracing import record_shapes, trace_linear

VECTOR = torch.arange(1.0, 5.0)


def operators(run, *shape: int) -> list[object]:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 4, 3, 3))
            self.gamma = nn.Parameter(VECTOR.clone())

        def forward(self, x: Tensor) -> Tensor:
            return run(self, x)

    x = torch.randn(*(shape or (2, 4, 6, 6)))
    traced, _ = trace_linear(Model(), (x,))
    record_shapes(traced, (x,))
    graph = TracedGraph(traced)
    return [node.meta.get("operator") for node in graph.nodes if "operator" in node.meta]


@pytest.mark.parametrize(
    ("run", "scale", "shift"),
    [
        (lambda m, x: 2 * x, 2, 0),
        (lambda m, x: x / 4, 0.25, 0),
        (lambda m, x: 3 - x, -1, 3),
        (lambda m, x: x.sub(3), 1, -3),
        (lambda m, x: -x, -1, 0),
        (lambda m, x: torch.add(x, 5), 1, 5),
        (lambda m, x: F.dropout(x, training=False), 1, 0),
    ],
)
def test_numbers(run, scale: float, shift: float) -> None:
    (found,) = operators(run)
    assert isinstance(found, ChannelAffine)
    assert (float(found.scale), float(found.shift)) == (scale, shift)


def test_vectors_know_their_axis() -> None:
    (last,) = operators(lambda m, x: x * m.gamma, 2, 3, 4)
    (channel,) = operators(lambda m, x: x * m.gamma.reshape(-1, 1, 1))
    assert (last.rank, channel.rank) == (0, 2)
    torch.testing.assert_close(channel.scale, VECTOR.double())
    assert operators(lambda m, x: x * m.gamma.reshape(2, 2), 3, 2, 2) == []
    assert operators(lambda m, x: x * m.gamma.reshape(4, 1), 1, 3) == []


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (lambda m, x: F.conv2d(x, m.weight, padding=1), Convolution),
        (lambda m, x: F.conv_transpose2d(x, m.weight, stride=2), Convolution),
        (lambda m, x: F.linear(x, m.gamma.diag()), None),
        (lambda m, x: F.avg_pool2d(x, 2), Convolution),
        (lambda m, x: F.avg_pool2d(x, 2, ceil_mode=True), Commuting),
        (lambda m, x: F.pad(x, (1, 1)), Convolution),
        (lambda m, x: F.pad(x, (1, 1), value=2.0), FilledPadding),
        (lambda m, x: F.pad(x, (1, 1, 1, 1), mode="reflect"), Convolution),
        (lambda m, x: torch.cat([x, x], 1), Concatenation),
        (lambda m, x: x + x, Sum),
        (lambda m, x: x.mean((2, 3)), Commuting),
        (lambda m, x: F.interpolate(x, scale_factor=2), Commuting),
        (lambda m, x: x.permute(0, 2, 3, 1), Commuting),
        (lambda m, x: x.flatten(1), Commuting),
        (lambda m, x: F.dropout(x, training=True), None),
        (lambda m, x: F.batch_norm(x, None, None, training=True), None),
        (lambda m, x: torch.cat([x, x], 0), None),
        (lambda m, x: torch.add(x, x, alpha=2), None),
        (lambda m, x: 1 / x, None),
        (lambda m, x: x * x, None),
        (lambda m, x: F.relu(x), None),
    ],
)
def test_functions(run, kind) -> None:
    shape = (2, 3, 4) if kind is None and "linear" in repr(run.__code__.co_names) else ()
    found = operators(run, *shape)
    if kind is None:
        assert [type(f) for f in found] in ([], [Convolution])
        assert not found or found[0].rank == 0
    else:
        assert [type(f) for f in found] == [kind]


def test_reshaping_follows_the_channel_axis() -> None:
    (flat,) = operators(lambda m, x: x.flatten(1))
    assert flat.axes[2, 0] == 36
    (moved,) = operators(lambda m, x: x.transpose(1, 3))
    assert moved.axes[2, 0] == 1
    (mean,) = operators(lambda m, x: x.mean((2, 3), keepdim=True))
    assert mean.axes == {(2, 2): 1}
    (kept,) = operators(lambda m, x: x.reshape(2, 4, 36))
    assert kept.axes[2, 1] == 1
