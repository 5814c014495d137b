"""A traced graph whose linear nodes carry their operator."""

import operator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, fx

from nascence.reparam.accounting import Rewrite
from nascence.reparam.arguments import NotFoldable, data_operands
from nascence.reparam.operators import ChannelAffine, Commuting, Operator
from nascence.reparam.reading import read
from nascence.reparam.tracing import mark_constants


def linear_value(*inputs: Tensor) -> Tensor:
    """Stands for a linear node while the graph is rewritten; never executed."""
    raise RuntimeError("a graph under rewriting was run")


SHAPE_READERS = {"size", "dim", "ndim", "shape", "dtype", "device", "numel"}
SHAPE_TAKERS = {"reshape_as", "view_as", "expand_as", "type_as"}


def reads_shape_only(user: fx.Node, node: fx.Node) -> bool:
    """Whether ``user`` needs only the shape of ``node``."""
    original = user.meta.get("original")
    op, target = (original.op, original.target) if original else (user.op, user.target)
    if op == "call_method" and target in SHAPE_READERS:
        return True
    if op == "call_function" and target is getattr:
        return user.args[1] in SHAPE_READERS
    return op == "call_method" and target in SHAPE_TAKERS and user.args[0] is not node


def value_users(node: fx.Node) -> list[fx.Node]:
    """Users that read the values of ``node``, one entry per use."""
    found = []
    for user in node.users:
        if not reads_shape_only(user, node):
            uses = sum(operand is node for operand in data_operands(user))
            found.extend([user] * max(uses, 1))
    return found


def operator_of(node: Any) -> Operator | None:
    """The linear operator of a node, None if it has none."""
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
        numbers = number_nodes(self.module.graph)
        for node in list(self.module.graph.nodes):
            if "constant" in node.meta or node in numbers:
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


def number_nodes(graph: fx.Graph) -> set[fx.Node]:
    """Nodes that hold numbers, such as sizes and sums of sizes, and not tensors."""
    nodes = list(graph.nodes)
    if any("shape" in node.meta for node in nodes):
        return {node for node in nodes if "shape" not in node.meta}
    numbers: set[fx.Node] = set()
    for node in nodes:
        reads = node.op == "call_method" and node.target in SHAPE_READERS
        reads = reads or node.target is getattr
        arithmetic = getattr(node.target, "__module__", "") == "_operator"
        inherits = arithmetic and any(value in numbers for value in node.all_input_nodes[:1])
        if reads or inherits:
            numbers.add(node)
    return numbers


def node_name(node: fx.Node) -> str:
    """The name of a node in reports, that of its layer where it has one."""
    original = node.meta.get("original")
    if original is None:
        return str(node.meta.get("owner", node.target if node.op == "call_module" else node.name))
    return str(original.target) if original.op == "call_module" else node.name


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


VIEWS = {
    "view", "reshape", "flatten", "permute", "transpose", "squeeze", "unsqueeze", "expand",
    "chunk", "split", "narrow", "unbind", "contiguous", "detach", "getitem", "unflatten",
}  # fmt: skip


def may_alias(node: fx.Node) -> bool:
    """Whether the value of ``node`` may share memory with its first input."""
    found = operator_of(node)
    if isinstance(found, ChannelAffine) and found.is_identity:
        return True
    target = node.meta["original"].target if "original" in node.meta else node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    shares = name in VIEWS or isinstance(found, Commuting)
    return shares or mutates(node, node.graph.owning_module)


def aliases_of(value: fx.Node) -> list[fx.Node]:
    """``value`` and every node that may share memory with it."""
    while may_alias(value) and value.args and isinstance(value.args[0], fx.Node):
        value = value.args[0]
    group = [value]
    for member in group:
        group.extend(
            user
            for user in member.users
            if user.args and user.args[0] is member and user not in group and may_alias(user)
        )
    return group


def pin_mutated(graph: fx.Graph) -> None:
    """Leave alone what reads a value that one of its readers overwrites: order matters there.

    A chain of overwriting operators, each the only reader of the one before, is free of that.
    """
    for node in graph.nodes:
        if not node.args or not isinstance(node.args[0], fx.Node):
            continue
        if not mutates(node, graph.owning_module):
            continue
        group = aliases_of(node)
        inner = [member for member in group if any(user in group for user in member.users)]
        if any(len(value_users(member)) > 1 for member in inner):
            for member in group:
                for touched in (member, *member.users):
                    restore(touched)


def restore(node: fx.Node) -> None:
    """Undo ``normalise``; the current inputs take the place of the first ones."""
    original: Original | None = node.meta.pop("original", None)
    node.meta.pop("operator", None)
    if original is None:
        return
    renamed = dict(zip(original.operands, node.args, strict=True))

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
