"""A traced graph whose linear nodes carry their operator."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, fx, nn

from nascence.reparam.accounting import Rewrite
from nascence.reparam.arguments import NotFoldable, data_operands
from nascence.reparam.mutation import (
    SHAPE_READERS,
    layer_at,
    reads_shape_only,
    settle_mutations,
)
from nascence.reparam.operators import (
    ChannelAffine,
    Convolution,
    Operator,
)
from nascence.reparam.paddings import is_same, is_symmetric
from nascence.reparam.reading import read
from nascence.reparam.tracing import mark_constants


def linear_value(*inputs: Tensor) -> Tensor:
    """Stands for a linear node, of any shape, while the graph is rewritten; never executed.

    Raises:
        RuntimeError: It was executed.
    """
    raise RuntimeError("a graph under rewriting was run")


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
    """A graph under rewriting. Rules call ``permit`` before they change it.

    Its nodes hold what was read of them in ``meta``: ``operator``, ``shape`` on an example,
    ``owner`` (a name for reports), ``trained``, and ``free`` where removing it saves nothing.
    """

    graph: fx.Graph
    forbidden: frozenset[tuple[str, str]] = frozenset()
    limit: int | None = None
    rewrites: list[Rewrite] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, str] = field(default_factory=dict)

    @property
    def nodes(self) -> list[fx.Node]:
        """Nodes in order of execution."""
        return list(self.graph.nodes)

    def holds(self, convolution: Convolution) -> bool:
        """Whether a convolution of the format takes this padding without an operator before it."""
        return is_symmetric(convolution) or is_same(convolution)

    def may(self, rule: str, name: str) -> bool:
        """Whether ``rule`` may be applied at what reports call ``name``."""
        full = self.limit is not None and len(self.rewrites) >= self.limit
        return not full and (rule, name) not in self.forbidden

    def permit_named(self, rule: str, name: str, result: str) -> bool:
        """Whether this rewrite is allowed; records it if so."""
        if not self.may(rule, name):
            return False
        self.rewrites.append(Rewrite(rule, name, result))
        return True

    def permit(self, rule: str, node: fx.Node, result: str) -> bool:
        """Whether this rewrite of ``node`` is allowed; records it if so."""
        return self.permit_named(rule, node_name(node), result)


class TracedGraph(LinearGraph):
    """The graph of a traced module, its linear nodes read."""

    def __init__(
        self,
        module: fx.GraphModule,
        forbidden: frozenset[tuple[str, str]] = frozenset(),
        limit: int | None = None,
    ) -> None:
        super().__init__(module.graph, forbidden, limit)
        self.module = module
        mark_constants(self.module)
        self.pinned = settle_mutations(self.module.graph)
        numbers = number_nodes(self.module.graph)
        for node in list(self.module.graph.nodes):
            if "constant" in node.meta or node in numbers:
                continue
            try:
                found = read(node, self.module)
            except NotFoldable as reason:
                self.fixed[node_name(node)] = str(reason)
                continue
            if found is not None and node not in self.pinned:
                normalise(node, found, is_trained(node, self.module))
            elif isinstance(found, ChannelAffine) and found.channels > 1:
                self.fixed[node_name(node)] = "its value is overwritten in place and read besides"


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


def is_trained(node: fx.Node, module: fx.GraphModule) -> bool:
    """Whether a value that ``node`` reads besides its data requires a gradient."""
    if node.op == "call_module":
        return any(p.requires_grad for p in module.get_submodule(str(node.target)).parameters())
    constants = [value for value in node.all_input_nodes if "constant" in value.meta]
    return any(value.meta["trained"] for value in constants)


def normalise(node: fx.Node, found: Operator, trained: bool) -> None:
    """Write ``node`` as ``linear_value`` of its non-constant inputs, remembering what it was.

    ``trained`` tells whether ``found`` comes from parameters that require gradients.
    """
    operands = tuple(data_operands(node))
    node.meta["original"] = Original(node.op, node.target, node.args, node.kwargs, operands)
    node.meta["operator"] = found
    node.meta["trained"] = trained
    node.meta["owner"] = str(node.target) if node.op == "call_module" else node.name
    node.meta["free"] = type(layer_at(node)) is nn.Identity
    node.op, node.target = "call_function", linear_value
    node.args, node.kwargs = operands, {}


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


def change(
    node: fx.Node,
    found: Operator,
    inputs: tuple[fx.Node, ...],
    owner: str,
    *,
    trained: bool = False,
) -> None:
    """Let ``node`` apply ``found`` to ``inputs`` from now on.

    The result is trained if ``node`` was, if what it replaces was, or if ``trained`` says so.
    """
    before = node.all_input_nodes
    node.meta.update(operator=found, changed=True, owner=owner)
    node.args = inputs
    erased = [erase_dead(value) for value in before]
    node.meta["trained"] = trained or node.meta.get("trained", False) or any(erased)


def bypass(node: fx.Node) -> None:
    """Let the readers of ``node`` read its input instead."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    node.replace_all_uses_with(source)
    erase_dead(node)


def erase_dead(node: fx.Node) -> bool:
    """Erase a linear node that nothing reads, and those before it that only it read.

    Returns whether any that was erased was trained.
    """
    if node.users or "operator" not in node.meta:
        return False
    before = node.all_input_nodes
    node.graph.erase_node(node)
    node.meta["erased"] = True
    erased = [erase_dead(value) for value in before]
    return bool(node.meta.get("trained")) or any(erased)
