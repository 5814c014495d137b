"""A rewritten graph as a module again, of torch's own layers."""

import copy
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from nascence.reparam.channel_scale import ChannelScale
from nascence.reparam.linear_graph import TracedGraph, restore
from nascence.reparam.mutation import overwrite_only_own
from nascence.reparam.operators import (
    ChannelAffine,
    Concatenation,
    Convolution,
    OpaqueConvolution,
    Operator,
    Sum,
    regroup,
)
from nascence.reparam.paddings import is_padding, is_same, is_symmetric


def materialise(graph: TracedGraph) -> fx.GraphModule:
    """The module of a rewritten graph; untouched nodes are as they were, parameters in float64."""
    module = graph.module
    for node in graph.nodes:
        if "original" in node.meta and not node.meta.get("changed"):
            restore(node)
    kept = {str(node.target) for node in module.graph.nodes if node.op == "call_module"}
    written: dict[str, Operator] = {}
    for node in graph.nodes:
        if node.meta.get("changed"):
            write(node, module, kept, written)
    overwrite_only_own(module.graph, graph.pinned)
    drop_unused(module.graph)
    module.graph.lint()
    module.delete_all_unused_submodules()
    module.recompile()
    return module


def drop_unused(graph: fx.Graph) -> None:
    """Erase constants that nothing reads, last first."""
    for node in reversed(list(graph.nodes)):
        known = node.op == "get_attr" or "constant" in node.meta
        if known and not node.users:
            graph.erase_node(node)


def write(
    node: fx.Node, module: fx.GraphModule, kept: set[str], written: dict[str, Operator]
) -> None:
    """Turn a changed node into calls that torch knows."""
    found = node.meta["operator"]
    if isinstance(found, Sum):
        write_sum(node, found)
        return
    if isinstance(found, Concatenation):
        node.target = torch.cat
        node.args = (list(node.args), -(found.rank + 1))
        return
    if isinstance(found, Convolution):
        if is_padding(found):
            amounts = [amount for pair in reversed(found.padding) for amount in pair]
            mode = PADDING_FUNCTION_MODES.get(found.mode, found.mode)
            node.target, node.args, node.kwargs = F.pad, (node.args[0], amounts), {"mode": mode}
            return
        found = write_padding(node, found)
    if isinstance(found, ChannelAffine) and found.channels == 1 and write_scalar(node, found):
        return
    name = free_name(str(node.meta["owner"]), found, kept, written)
    if name not in written:
        written[name] = found
        module.add_submodule(name, layer_of(found).eval().requires_grad_(False))
    if node.meta["trained"]:
        module.get_submodule(name).requires_grad_(True)
    node.op, node.target = "call_module", name


def free_name(name: str, found: Operator, kept: set[str], written: dict[str, Operator]) -> str:
    """``name``, or with a number where another layer has it; equal layers share one name."""
    number = 1
    candidate = name
    while candidate in kept or (candidate in written and not same(written[candidate], found)):
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def same(one: Operator, two: Operator) -> bool:
    """Whether two operators are equal, so that call sites of a shared layer share it again."""
    if type(one) is not type(two):
        return False
    for name, value in vars(one).items():
        other = getattr(two, name)
        equal = torch.equal(value, other) if isinstance(value, Tensor) else value == other
        if not equal:
            return False
    return True


def write_sum(node: fx.Node, found: Sum) -> None:
    """A chain of two-input sums, the last one at ``node``.

    Raises:
        RuntimeError: All terms are negative.
    """
    terms = sorted(zip(found.signs, node.args, strict=True), key=lambda term: -term[0])
    total = terms[0][1]
    if terms[0][0] < 0:
        raise RuntimeError("a sum of negative terms only was left unread")
    for sign, term in terms[1:-1]:
        total = insert(node, operator.add if sign > 0 else operator.sub, (total, term))
    node.target = operator.add if terms[-1][0] > 0 else operator.sub
    node.args = (total, terms[-1][1])


def insert(node: fx.Node, function: Any, args: Any, kwargs: Any = None) -> fx.Node:
    """A call of ``function`` right before ``node``, in the same module."""
    with node.graph.inserting_before(node):
        inserted = node.graph.call_function(function, args, kwargs)
    if "nn_module_stack" in node.meta:
        inserted.meta["nn_module_stack"] = node.meta["nn_module_stack"]
    return inserted


def write_scalar(node: fx.Node, found: ChannelAffine) -> bool:
    """A product or a sum with a plain number, where one of the two is enough."""
    scale, shift = float(found.scale), float(found.shift)
    if shift != 0 and scale != 1:
        return False
    node.target = operator.add if shift != 0 else operator.mul
    node.args = (node.args[0], shift if shift != 0 else scale)
    return True


PADDING_FUNCTION_MODES = {"zeros": "constant"}


def write_padding(node: fx.Node, found: Convolution) -> Convolution:
    """Put a padding node before a convolution whose own padding cannot hold it."""
    if is_symmetric(found) or is_same(found):
        return found
    amounts = [amount for pair in reversed(found.padding) for amount in pair]
    mode = PADDING_FUNCTION_MODES.get(found.mode, found.mode)
    node.args = (insert(node, F.pad, (node.args[0], amounts), {"mode": mode}),)
    return replace(found, padding=((0, 0),) * found.rank, mode="zeros")


def layer_of(found: Operator) -> nn.Module:
    """A torch layer in float64 that computes ``found``."""
    layer: Any
    if isinstance(found, ChannelAffine):
        return ChannelScale(found.scale, found.shift, found.rank or 0)
    if isinstance(found, OpaqueConvolution):
        layer = copy.copy(found.layer)
        layer._parameters = dict(layer._parameters)
        layer.weight = nn.Parameter(found.weight.clone())
        layer.bias = nn.Parameter(found.bias.clone())
        return layer
    assert isinstance(found, Convolution)
    bias = bool((found.bias != 0).any())
    if found.rank == 0:
        layer = nn.Linear(found.in_channels, found.out_channels, bias, device="meta")
        weight = regroup(found, 1).weight
    else:
        layer = convolution_layer(found, bias)
        weight = found.weight
        if found.transposed:
            blocks = weight.reshape(found.groups, -1, *weight.shape[1:]).transpose(1, 2)
            weight = blocks.reshape(-1, *blocks.shape[2:])
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias:
        layer.bias = nn.Parameter(found.bias.detach().clone())
    return layer


def convolution_layer(found: Convolution, bias: bool) -> nn.Module:
    """The torch layer of that shape, its weights still to be filled."""
    kinds: dict[tuple[int, bool], Callable[..., nn.Module]] = {
        (1, False): nn.Conv1d,
        (2, False): nn.Conv2d,
        (3, False): nn.Conv3d,
        (1, True): nn.ConvTranspose1d,
        (2, True): nn.ConvTranspose2d,
        (3, True): nn.ConvTranspose3d,
    }
    settings: dict[str, Any] = {
        "stride": found.stride,
        "padding": tuple(low for low, _ in found.padding) if is_symmetric(found) else "same",
        "dilation": found.dilation,
        "groups": found.groups,
        "bias": bias,
        "padding_mode": found.mode,
        "device": "meta",
    }
    if found.transposed:
        settings["output_padding"] = found.output_padding
    kind = kinds[found.rank, found.transposed]
    return kind(found.in_channels, found.out_channels, found.kernel, **settings)
