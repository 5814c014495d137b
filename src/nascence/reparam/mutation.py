"""Operators that overwrite their input, rewritten so that every value of a graph stays valid.

A rewrite may move a reader of a value past an operator that overwrites the value. So what reads a
value after it was overwritten is made to read the overwriting operator, and at the end an operator
overwrites only what nothing else reads.
"""

import inspect
import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

PURE_OPERATORS: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}
SHAPE_READERS = {"size", "dim", "ndim", "shape", "dtype", "device", "numel"}
SHAPE_TAKERS = {"reshape_as", "view_as", "expand_as", "type_as"}
VIEWS = {
    "view", "reshape", "flatten", "permute", "transpose", "squeeze", "unsqueeze", "expand",
    "chunk", "split", "narrow", "unbind", "contiguous", "detach", "getitem", "unflatten", "ravel",
    "view_as", "reshape_as", "expand_as", "select", "swapaxes", "movedim", "diagonal",
    "tensor_split", "unfold",
}  # fmt: skip


def reads_shape_only(user: fx.Node, node: fx.Node) -> bool:
    """Whether ``user`` needs only the shape of ``node``."""
    was = user.meta.get("original", user)  # what it was before its operator was read
    if was.op == "call_function" and was.target is getattr:
        return user.args[1] in SHAPE_READERS
    takes = was.target in SHAPE_READERS or (was.target in SHAPE_TAKERS and user.args[0] is not node)
    return was.op == "call_method" and takes


def layer_at(node: fx.Node) -> nn.Module | None:
    """The layer that ``node`` calls."""
    module = node.graph.owning_module
    if node.op != "call_module" or module is None:
        return None
    return module.get_submodule(str(node.target))


def inplace_position(node: fx.Node) -> tuple[int, bool] | None:
    """Where a function takes ``inplace`` by position, and its value; None where it has none."""
    if node.op != "call_function" or getattr(node.target, "__module__", "") != F.__name__:
        return None
    try:
        signature = inspect.signature(node.target)  # type: ignore[arg-type]
        given = signature.bind(*node.args, **node.kwargs).arguments
    except (TypeError, ValueError):
        return None
    names = list(signature.parameters)
    return (names.index("inplace"), bool(given.get("inplace"))) if "inplace" in names else None


def mutates(node: fx.Node) -> bool:
    """Whether ``node`` overwrites its first input."""
    if node.op == "call_module":
        return bool(getattr(layer_at(node), "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    if node.op != "call_function":
        return False
    if node.target in PURE_OPERATORS or node.target is operator.setitem:
        return True
    found = inplace_position(node)
    return getattr(node.target, "__name__", "").endswith("_") if found is None else found[1]


def pure_function(node: fx.Node) -> Any:
    """What computes the value of ``node`` without overwriting, None where there is nothing."""
    if node.op == "call_module" or inplace_position(node) is not None:
        return node.target
    if node.op == "call_method":
        name = str(node.target)[:-1]
        return name if callable(getattr(Tensor, name, None)) else None
    if node.target in PURE_OPERATORS:
        return PURE_OPERATORS[node.target]
    name = getattr(node.target, "__name__", "")
    found = [getattr(room, name[:-1], None) for room in (torch, F) if hasattr(room, name)]
    return next((function for function in found if callable(function)), None)


def make_pure(node: fx.Node) -> None:
    """Let ``node`` compute its value without overwriting its input."""
    layer, found = layer_at(node), inplace_position(node)
    if layer is not None:
        vars(layer)["inplace"] = False
    elif found is not None and len(node.args) > found[0]:
        node.args = (*node.args[: found[0]], False, *node.args[found[0] + 1 :])
    elif found is not None:
        node.kwargs = {**node.kwargs, "inplace": False}
    else:
        node.target = pure_function(node)


def returns_input(node: fx.Node) -> bool:
    """Whether the value of ``node`` is its first input, the same tensor."""
    layer = layer_at(node)
    kinds = (nn.Identity, nn.modules.dropout._DropoutNd)
    return isinstance(layer, kinds) or (mutates(node) and node.target is not operator.setitem)


def may_share(node: fx.Node) -> bool:
    """Whether the value of ``node`` may share memory with its first input."""
    layer = layer_at(node)
    if layer is not None:
        known = type(layer).__module__.startswith("torch.nn.modules")
        return returns_input(node) or not known or isinstance(layer, (nn.Flatten, nn.Unflatten))
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name in VIEWS or name.startswith("dropout") or returns_input(node)


def source_of(node: fx.Node) -> fx.Node | None:
    """The first input of ``node``, where it is a value."""
    return node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None


def relatives(value: fx.Node, without: fx.Node, *, same: bool) -> list[fx.Node]:
    """``value`` and what may share its memory, or is the ``same`` tensor, before ``without``."""
    linked = returns_input if same else may_share
    while (source := source_of(value)) is not None and linked(value):
        value = source
    group = {value: None}
    pending = [value]
    while pending:
        member = pending.pop()
        for user in member.users:
            fresh = user is not without and user not in group
            if fresh and source_of(user) is member and linked(user):
                group[user] = None
                pending.append(user)
    return list(group)


def settle_mutations(graph: fx.Graph) -> set[fx.Node]:
    """Let no reader depend on what is overwritten; returns the nodes whose order must stay.

    Those are the readers of memory that is overwritten through a view and read thereafter, or by
    an operator that has no form without overwriting.
    """
    order = {node: index for index, node in enumerate(graph.nodes)}
    pinned: set[fx.Node] = set()
    for node in graph.nodes:
        value = source_of(node)
        if value is None or not mutates(node):
            continue
        if node.target is not operator.setitem:
            for member in relatives(value, node, same=True):
                for user in list(member.users):
                    if order[user] > order[node]:
                        user.replace_input_with(member, node)
        group = relatives(value, node, same=False)
        readers = [
            user
            for member in group
            for user in member.users
            if user is not node and user not in group and not reads_shape_only(user, member)
        ]
        late = any(order[user] > order[node] for user in readers)
        if late or (readers and pure_function(node) is None):
            for member in (*group, node):
                pinned.update((member, *member.users))
    return pinned


def overwrite_only_own(graph: fx.Graph, pinned: set[fx.Node]) -> None:
    """Make every operator pure that would overwrite a value with another reader."""
    for node in graph.nodes:
        if node not in pinned and mutates(node) and not is_only_reader(node):
            make_pure(node)


def is_only_reader(node: fx.Node) -> bool:
    """Whether ``node`` alone reads the memory of its first input, which the graph computed."""
    reader, value = node, source_of(node)
    while value is not None:
        others = [u for u in value.users if u is not reader and not reads_shape_only(u, value)]
        if others or value.op in ("placeholder", "get_attr"):
            return False
        if not may_share(value):
            return True
        reader, value = value, source_of(value)
    return True
