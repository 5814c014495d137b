"""The module and the graph of a list of layers."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.graph import Graph, Node, Parameter
from nascence.spaces.deepnets_program import Layer

_SILENT = ("relu", "gelu", "flatten", "shift", "subsample", "zeros", "tokens", "map")


class PositionEncoding(nn.Module):
    """Adds a learned map ``(1, C, H, W)``."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.grid = nn.Parameter(0.02 * torch.randn(1, channels, height, width))

    def forward(self, x: Tensor) -> Tensor:
        """Add the grid to ``(B, channels, height, width)``."""
        return x + self.grid


class LayerNetwork(nn.Module):
    """A network that runs a list of layers, images ``(B, 3, S, S)`` to logits ``(B, classes)``."""

    def __init__(self, layers: list[Layer]) -> None:
        super().__init__()
        self._run: list[tuple[str, Any, tuple[int, ...], tuple[Any, ...], tuple[int, ...]]] = []
        for layer, read in zip(layers, _last_reads(layers), strict=True):
            module = _module(layer)
            if module is not None:
                _attach(self, layer.name, module)
            self._run.append((layer.kind, module, layer.inputs, layer.settings, read))

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits, ``(B, 3, S, S)`` to ``(B, classes)``."""
        values = {0: x}
        for place, (kind, module, inputs, settings, read) in enumerate(self._run, 1):
            if module is not None:
                values[place] = module(values[inputs[0]])
            else:
                values[place] = FUNCTIONS[kind](*(values[i] for i in inputs), settings)
            for done in read:  # a wide network of a hundred layers would fill the memory
                del values[done]
        return values[len(self._run)]

    def __deepcopy__(self, memo: dict[int, Any]) -> "LayerNetwork":
        """The run list names modules of this network, so it is copied with them."""
        copy = self.__class__.__new__(self.__class__)
        memo[id(self)] = copy
        copy.__dict__.update({key: deepcopy(value, memo) for key, value in self.__dict__.items()})
        return copy


def _last_reads(layers: list[Layer]) -> list[tuple[int, ...]]:
    """For every layer, the values that no later one reads."""
    last = {value: place for place, layer in enumerate(layers) for value in layer.inputs}
    return [
        tuple(value for value in dict.fromkeys(layer.inputs) if last[value] == place)
        for place, layer in enumerate(layers)
    ]


def _module(layer: Layer) -> nn.Module | None:
    s = layer.settings
    if layer.kind == "conv":
        return nn.Conv2d(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7])
    if layer.kind == "linear":
        return nn.Linear(s[0], s[1], bias=s[2])
    if layer.kind == "bn":
        return nn.BatchNorm2d(s[0])
    if layer.kind == "ln":
        return nn.LayerNorm(s[0])
    return PositionEncoding(*s) if layer.kind == "pos_enc" else None


def _attach(root: nn.Module, name: str, module: nn.Module) -> None:
    *path, last = name.split(".")
    for part in path:
        child = root._modules.get(part)
        if child is None:
            child = nn.Module()
            root.add_module(part, child)
        root = child
    root.add_module(last, module)


def _attention(x: Tensor, heads: int) -> Tensor:
    b, n, c = x.shape
    q, k, v = x.view(b, n, 3, heads, c // 3 // heads).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c // 3)


def _add_all(*values: Tensor) -> Tensor:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "relu": lambda x, s: F.relu(x),
    "gelu": lambda x, s: F.gelu(x),
    "max_pool": lambda x, s: F.max_pool2d(x, 3, s[0], 1),
    "avg_pool": lambda x, s: F.avg_pool2d(x, 3, s[0], 1, count_include_pad=False),
    "glob_avg": lambda x, s: F.adaptive_avg_pool2d(x, 1),
    "flatten": lambda x, s: x.flatten(1),
    "shift": lambda x, s: F.pad(x[:, :, 1:, 1:], (0, 1, 0, 1)),
    "subsample": lambda x, s: x[:, :, ::2, ::2],
    "zeros": lambda x, s: x * 0,
    "tokens": lambda x, s: x.flatten(2).transpose(1, 2),
    "map": lambda x, s: x.transpose(1, 2).unflatten(2, s),
    "msa": lambda x, s: _attention(x, s[0]),
    "cse": lambda x, gate, s: x * torch.sigmoid(gate),
    "sum": lambda *xs: _add_all(*xs[:-1]),
    "concat": lambda *xs: torch.cat(xs[:-1], 1),
}


def graph_of(layers: list[Layer]) -> Graph:
    """The graph that tracing the module would give, for a batch of one image."""
    nodes = [Node("input")]
    edges: list[tuple[int, int]] = []
    produced: list[tuple[int, ...]] = [(0,)]

    def add(node: Node, sources: tuple[int, ...]) -> tuple[int, ...]:
        index = len(nodes)
        nodes.append(node)
        edges.extend((source, index) for source in sorted(sources))
        return (index,)

    for layer in layers:
        kind = layer.kind
        sources = tuple(dict.fromkeys(n for value in layer.inputs for n in produced[value]))
        if kind in _SILENT:
            produced.append(sources)
            continue
        if kind in ("sum", "concat"):
            produced.append(_joined(layer, produced, add))
            continue
        parameters = tuple(
            Parameter(f"{layer.name}.{suffix}", shape, role)
            for suffix, shape, role in layer.parameters
        )
        if kind in ("conv", "linear"):
            result = add(Node(_convolution(layer), parameters[:1], layer.macs), sources)
            if len(parameters) > 1:
                result = add(Node("bias", parameters[1:]), result)
        else:
            result = add(Node(kind, parameters, layer.macs), sources)
        produced.append(result)
    return Graph(tuple(nodes), tuple(edges), produced[-1])


def _convolution(layer: Layer) -> str:
    if layer.kind == "conv" and layer.settings[6] > 1:
        return "dil_conv" if layer.settings[5] > 1 else "sep_conv"
    return "conv"


def _joined(
    layer: Layer,
    produced: list[tuple[int, ...]],
    add: Callable[[Node, tuple[int, ...]], tuple[int, ...]],
) -> tuple[int, ...]:
    """Sums are taken two at a time; what comes from the same nodes is one value."""
    if layer.kind == "concat":
        rows = [produced[value] for value in layer.inputs]
        sources = tuple(dict.fromkeys(node for row in rows for node in row))
        return add(Node("concat"), sources) if len(set(rows)) > 1 else sources
    total = produced[layer.inputs[0]]
    for value in layer.inputs[1:]:
        other = produced[value]
        if other != total:
            total = add(Node("sum"), tuple(dict.fromkeys((*total, *other))))
    return total
