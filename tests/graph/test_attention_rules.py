"""Attention written in several ways: one node, and the multiply-adds of PyTorch's counter."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.graph import count_macs, trace

X = torch.zeros(2, 5, 8)


def with_matmul(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.matmul((q @ k.transpose(-2, -1) / 8**0.5).softmax(-1), v)


def with_einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("bij,bjd->bid", torch.einsum("bid,bjd->bij", q, k).softmax(-1), v)


def with_bmm(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.bmm(torch.bmm(q, k.mT).softmax(-1), v)


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, value=v)


class Attention(nn.Module):
    def __init__(self, mix: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.mix = mix
        self.q, self.k, self.v = (nn.Linear(8, 8, bias=False) for _ in range(3))
        self.out = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.mix(self.q(x), self.k(x), self.v(x)))


@pytest.mark.parametrize("mix", [with_matmul, with_einsum, with_bmm, fused])
def test_every_spelling_is_one_node_with_the_same_cost(mix: Callable[..., Tensor]) -> None:
    graph = trace(Attention(mix), X)
    ops = [node.op for node in graph.nodes]
    assert ops == ["input", "conv", "conv", "conv", "msa", "conv", "bias"]
    attention = ops.index("msa")
    assert set(graph.predecessors[attention]) == {1, 2, 3}
    assert graph.nodes[attention].macs == 2 * (2 * 5 * 5 * 8)
    assert graph.macs == count_macs(Attention(with_matmul), X)


@pytest.mark.parametrize("width", [8, 6])
def test_multi_head_attention_has_its_projections(width: int) -> None:
    """With keys of another width every projection has a weight of its own."""
    layer = nn.MultiheadAttention(8, 2, kdim=width, vdim=width, batch_first=True)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.keys, self.layer = nn.Linear(8, width), layer

        def forward(self, x: Tensor) -> Tensor:
            keys = self.keys(x)
            return self.layer(x, keys, keys)[0]

    model = Outer()
    graph = trace(model, X)
    ops = [node.op for node in graph.nodes]
    assert ops.count("msa") == 1
    assert ops.count("conv") == (3 if width == 8 else 5)
    assert {p.name for p in graph.parameters} == {name for name, _ in model.named_parameters()}


class MatrixProducts(nn.Module):
    """Weights used without a layer: ``x W``, ``W^T`` by hand, and an einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(8, 3))
        self.second = nn.Parameter(torch.zeros(4, 3))
        self.third = nn.Parameter(torch.zeros(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = x @ self.first
        x = torch.matmul(x, self.second.t())
        return torch.einsum("bnc,cd->bnd", x, self.third)


def test_products_with_parameters_are_layers_that_know_their_output_axis() -> None:
    graph = trace(MatrixProducts(), X)
    assert [node.op for node in graph.nodes] == ["input", "conv", "conv", "conv"]
    roles = {parameter.name: parameter.role for parameter in graph.parameters}
    # (in, out) is transposed; W^T of (out, in) is not
    assert roles["first"] == "weight_transposed"
    assert roles["second"] == "weight"
    assert graph.macs == 10 * (8 * 3 + 3 * 4 + 4 * 2)
