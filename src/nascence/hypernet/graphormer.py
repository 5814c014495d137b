"""GHN-3's graph network: a transformer over the nodes, biased by their distances.

Knyazev, Hwang and Lacoste-Julien (2023), "Can We Scale Transformers to Predict Parameters of
Diverse ImageNet Models?", after Ying et al. (2021), "Graphormer".
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.graph import Graph

MAX_DEGREE = 100
MAX_DEPTH = 1000
DISTANCES = 257


def sinusoids(rows: int, width: int) -> Tensor:
    """``(rows, width)`` table of Vaswani et al. (2017), section 3.5."""
    position = torch.arange(rows, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    table = torch.zeros(rows, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate[: width // 2])
    return table


class _Layer(nn.Module):
    """Pre-norm attention with an additive bias, then a four times wider MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(1, (self.heads, -1)).transpose(0, 1)
            for part in self.qkv(self.attention_norm(x)).chunk(3, dim=1)
        )
        mixed = F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=bias[None])
        x = x + self.project(mixed[0].transpose(0, 1).flatten(1))
        out: Tensor = x + self.mlp(self.norm(x))
        return out


class Graphormer(nn.Module):
    """Node states ``(N, width)`` of one graph to node states ``(N, width)``.

    In-degree, out-degree and distance to the input are embedded and added to the states; the
    distances of every pair, both ways, give an attention bias that all layers share.

    Raises:
        ValueError: ``width`` is no multiple of ``heads``.
    """

    def __init__(self, width: int = 64, *, layers: int = 3, heads: int = 8) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width is {width}; it must be a multiple of {heads} heads")
        self.in_degree = nn.Embedding(MAX_DEGREE + 1, width)
        self.out_degree = nn.Embedding(MAX_DEGREE + 1, width)
        self.depth = nn.Embedding(MAX_DEPTH + 1, width)
        self.distance = nn.Embedding.from_pretrained(sinusoids(DISTANCES, width), freeze=False)
        self.bias = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, heads))
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """Map node states ``(N, width)`` to node states ``(N, width)`` by attention among all."""
        device = x.device
        degrees = np.zeros((2, len(graph)), dtype=np.int64)
        for source, destination in graph.edges:
            degrees[0, destination] += 1
            degrees[1, source] += 1
        ins, outs = torch.from_numpy(degrees.clip(max=MAX_DEGREE)).to(device)
        distances = torch.from_numpy(graph.distances.astype(np.int64)).to(device)
        depth = distances[:, 0].clamp(max=MAX_DEPTH)
        x = x + self.in_degree(ins) + self.out_degree(outs) + self.depth(depth)
        # the first linear layer is applied to the table, not to N x N pairs
        table = self.distance.weight
        first = self.bias[0]
        assert isinstance(first, nn.Linear)
        there = F.linear(table, first.weight[:, : table.shape[1]], first.bias)
        back = F.linear(table, first.weight[:, table.shape[1] :])
        pairs = F.relu(there[distances] + back[distances.t()])
        bias = self.bias[2](pairs).permute(2, 0, 1)
        for layer in self.layers:
            x = layer(x, bias)
        return x
