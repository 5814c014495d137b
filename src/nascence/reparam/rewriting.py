"""A traced graph whose linear nodes carry their operator, and how it becomes a module again."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from nascence.reparam.channel_scale import ChannelScale
from nascence.reparam.operators import ChannelAffine, Convolution, regroup
from nascence.reparam.reading import (
    Concatenation,
    NotFoldable,
    Operator,
    Sum,
    data_operands,
    read,
)
from nascence.reparam.tracing import mark_constants


class Rewrite(NamedTuple):
    """One exact rewrite: the rule, the nodes that it touched, and what came of them."""

    rule: str
    where: str
    result: str


class Refusal(NamedTuple):
    """One layer or pattern left as it was, and the reason."""

    where: str
    reason: str


def linear_value(*inputs: Tensor) -> Tensor:
    """Stands for a linear node while the graph is rewritten; never executed."""
    raise RuntimeError("a graph under rewriting was run")


SHAPE_READERS = {"size", "dim", "ndim", "shape", "dtype", "device", "numel"}
SHAPE_TAKERS = {"reshape_as", "view_as", "expand_as", "type_as"}


def reads_shape_only(user: fx.Node, node: fx.Node) -> bool:
    if user.op == "call_method" and user.target in SHAPE_READERS:
        return True
    if user.op == "call_function" and user.target is getattr:
        return user.args[1] in SHAPE_READERS
    takes = user.op == "call_method" and user.target in SHAPE_TAKERS
    return takes and user.args[0] is not node


def value_users(node: fx.Node) -> list[fx.Node]:
    """Users that read the values of ``node``, one entry per use."""
    found = []
    for user in node.users:
        if not reads_shape_only(user, node):
            uses = sum(operand is node for operand in data_operands(user))
            found.extend([user] * max(uses, 1))
    return found


def operator_of(node: Any) -> Operator | None:
    return node.meta.get("operator") if isinstance(node, fx.Node) else None


@dataclass
class LinearGraph:
    """A graph under rewriting. Rules call ``permit`` before they change it."""

    module: fx.GraphModule
    forbidden: frozenset[tuple[str, str]] = frozenset()
    limit: int | None = None
    rewrites: list[Rewrite] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        mark_constants(self.module)
        for node in list(self.module.graph.nodes):
            if "constant" in node.meta:
                continue
            try:
                found = read(node, self.module)
            except NotFoldable as reason:
                self.refusals[node_name(node)] = str(reason)
                self.fixed.add(node_name(node))
                continue
            if found is not None:
                normalise(node, found)
        pin_mutated(self.module.graph)

    @property
    def nodes(self) -> list[fx.Node]:
        """Nodes in order of execution."""
        return list(self.module.graph.nodes)

    def permit(self, rule: str, node: fx.Node, result: str) -> bool:
        """Whether this rewrite may be done; notes it if so."""
        name = node_name(node)
        full = self.limit is not None and len(self.rewrites) >= self.limit
        if full or (rule, name) in self.forbidden:
            return False
        self.rewrites.append(Rewrite(rule, name, result))
        return True


def node_name(node: fx.Node) -> str:
    original = node.meta.get("original")
    op, target = (original.op, original.target) if original else (node.op, node.target)
    return f"{target} ({node.name})" if op == "call_module" else node.name


class Original(NamedTuple):
    """What a node was before its operator was read."""

    op: str
    target: Any
    args: Any
    kwargs: Any
    operands: tuple[fx.Node, ...]


def normalise(node: fx.Node, found: Operator) -> None:
    """Write ``node`` as ``linear_value`` of its non-constant inputs, remembering what it was."""
    operands = tuple(data_operands(node))
    node.meta["original"] = Original(node.op, node.target, node.args, node.kwargs, operands)
    node.meta["operator"] = found
    node.meta["owner"] = str(node.target) if node.op == "call_module" else node.name
    node.op, node.target = "call_function", linear_value
    node.args, node.kwargs = operands, {}


MUTATING_MODULES = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.LeakyReLU)


def mutates(node: fx.Node, module: fx.GraphModule | None) -> bool:
    """Whether ``node`` overwrites its first input."""
    original = node.meta.get("original")
    op, target = (original.op, original.target) if original else (node.op, node.target)
    kwargs = original.kwargs if original else node.kwargs
    if op == "call_module" and module is not None:
        return bool(getattr(module.get_submodule(str(target)), "inplace", False))
    if op == "call_method":
        return str(target).endswith("_") and not str(target).endswith("__")
    name = getattr(target, "__name__", "")
    if target in (operator.iadd, operator.imul, operator.isub, operator.itruediv):
        return True
    return bool(kwargs.get("inplace")) or (op == "call_function" and name.endswith("_"))


def pin_mutated(graph: fx.Graph) -> None:
    """Leave alone a linear node whose value another node overwrites while others read it."""
    module = graph.owning_module
    for node in graph.nodes:
        if not node.args or not isinstance(node.args[0], fx.Node) or not mutates(node, module):
            continue
        target: fx.Node = node.args[0]
        chain = [node]
        while True:
            readers = [user for user in value_users(target) if user is not chain[-1]]
            if readers:
                for pinned in (*chain, target):
                    restore(pinned)
                break
            found = operator_of(target)
            if not isinstance(found, ChannelAffine) or not found.is_identity:
                break
            chain.append(target)
            target = target.args[0]


def restore(node: fx.Node) -> None:
    """Undo ``normalise``; the current inputs take the place of the first ones."""
    original: Original | None = node.meta.pop("original", None)
    node.meta.pop("operator", None)
    if original is None:
        return
    now = iter(node.args)
    renamed = {old: new for old, new in zip(original.operands, now, strict=True)}

    def rename(parent: fx.Node) -> Any:
        return renamed.get(parent, parent)

    node.op, node.target = original.op, original.target
    args, kwargs = original.args, original.kwargs
    node.args = fx.node.map_arg(args, rename)
    node.kwargs = fx.node.map_arg(kwargs, rename)


def change(node: fx.Node, found: Operator, inputs: tuple[fx.Node, ...], owner: str) -> None:
    """Let ``node`` apply ``found`` to ``inputs`` from now on."""
    before = node.all_input_nodes
    node.meta.update(operator=found, changed=True, owner=owner)
    node.args = inputs
    for value in before:
        erase_dead(value)


def bypass(node: fx.Node) -> None:
    """Let the readers of ``node`` read its input instead."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    node.replace_all_uses_with(source)
    erase_dead(node)


def erase_dead(node: fx.Node) -> None:
    """Erase a linear node that nothing reads, and those before it that only it read."""
    if node.users or "operator" not in node.meta:
        return
    before = node.all_input_nodes
    node.graph.erase_node(node)
    node.meta["erased"] = True
    for value in before:
        erase_dead(value)


def materialise(graph: LinearGraph) -> fx.GraphModule:
    """The module of a rewritten graph; untouched nodes are as they were, parameters in float64."""
    module = graph.module
    drop_unused(module.graph)
    for node in graph.nodes:
        if "original" in node.meta and not node.meta.get("changed"):
            restore(node)
    kept = {str(node.target) for node in module.graph.nodes if node.op == "call_module"}
    written: dict[str, Operator] = {}
    for node in graph.nodes:
        if node.meta.get("changed"):
            write(node, module, kept, written)
    drop_unused(module.graph)
    module.graph.lint()
    module.delete_all_unused_submodules()
    module.recompile()
    return module


def drop_unused(graph: fx.Graph) -> None:
    """Erase linear nodes and constants that nothing reads, last first."""
    for node in reversed(list(graph.nodes)):
        known = node.op == "get_attr" or "operator" in node.meta or "constant" in node.meta
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
        found = write_padding(node, found)
    name = free_name(str(node.meta["owner"]), found, kept, written)
    if name not in written:
        written[name] = found
        layer = layer_of(found).eval()
        module.add_submodule(name, layer)
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
    """A chain of two-input sums, the last one at ``node``."""
    terms = sorted(zip(found.signs, node.args, strict=True), key=lambda term: -term[0])
    total = terms[0][1]
    if terms[0][0] < 0:
        raise RuntimeError("a sum of negative terms only was left unread")
    for sign, term in terms[1:-1]:
        with node.graph.inserting_before(node):
            function = operator.add if sign > 0 else operator.sub
            total = node.graph.call_function(function, (total, term))
    node.target = operator.add if terms[-1][0] > 0 else operator.sub
    node.args = (total, terms[-1][1])


PADDING_FUNCTION_MODES = {"zeros": "constant"}


def is_symmetric(found: Convolution) -> bool:
    """Whether torch's convolution takes this padding as it is."""
    return all(low == high >= 0 for low, high in found.padding)


def is_same(found: Convolution) -> bool:
    """Whether this padding is what torch calls ``same``."""
    axes = zip(found.padding, found.dilation, found.kernel, found.stride, strict=True)
    return not found.transposed and all(
        stride == 1 and low == step * (size - 1) // 2 and low + high == step * (size - 1)
        for (low, high), step, size, stride in axes
    )


def write_padding(node: fx.Node, found: Convolution) -> Convolution:
    """Put a padding node before a convolution whose own padding cannot hold it."""
    if is_symmetric(found) or is_same(found):
        return found
    amounts = [amount for pair in reversed(found.padding) for amount in pair]
    mode = PADDING_FUNCTION_MODES.get(found.mode, found.mode)
    with node.graph.inserting_before(node):
        padded = node.graph.call_function(F.pad, (node.args[0], amounts), {"mode": mode})
    node.args = (padded,)
    return replace(found, padding=((0, 0),) * found.rank, mode="zeros")


def layer_of(found: Operator) -> nn.Module:
    """A torch layer in float64 that computes ``found``."""
    if isinstance(found, ChannelAffine):
        return ChannelScale(found.scale, found.shift, found.rank or 0)
    assert isinstance(found, Convolution)
    bias = bool((found.bias != 0).any())
    if found.rank == 0:
        layer: Any = nn.Linear(found.in_channels, found.out_channels, bias, device="meta")
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
