"""A flat graph with the ``nn.Sequential`` modules of its source again, to index, slice and call."""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from torch import fx, nn


def nest(flat: fx.GraphModule, source: nn.Module, prefix: str = "") -> nn.Module:
    """``flat``, the rewritten graph of ``source``, with each Sequential of ``source`` as a module.

    A Sequential is taken out of the graph where its nodes stand together and have one input and
    one output. Layers keep their names; children that vanished are ``nn.Identity``. ``prefix`` is
    what names in the graph's module stack start with.
    """
    sequence = is_sequence(source)
    children = {n: m for n, m in source._modules.items() if m is not None} if sequence else {}
    segments = segments_of(flat.graph, prefix)
    reads = reads_of(flat.graph.nodes)
    for name, child in (children or outermost_sequences(source)).items():
        nodes = segments.get(name, [])
        # A layer that was written for a second call of the child would go with the old child.
        if reads[name] == reads_of(nodes)[name]:
            extract(flat, name, child, nodes, f"{prefix}{name}.")
    flat.graph.lint()
    flat.delete_all_unused_submodules()
    flat.recompile()
    if not children or not is_chain(flat.graph, list(children)):
        return flat
    run = {str(node.target) for node in flat.graph.nodes}
    layers = {n: flat.get_submodule(n) if n in run else nn.Identity() for n in children}
    return nn.Sequential(OrderedDict(layers)).eval()


def is_sequence(module: nn.Module) -> bool:
    """Whether ``module`` runs its children one after another and does nothing else."""
    plain = type(module).forward is nn.Sequential.forward and "forward" not in vars(module)
    return plain and not (module._forward_hooks or module._forward_pre_hooks)


def outermost_sequences(module: nn.Module) -> dict[str, nn.Module]:
    """Sequentials below ``module`` that are in no other, by their dotted names."""
    found: dict[str, nn.Module] = {}
    for name, child in module._modules.items():
        if child is not None and is_sequence(child):
            found[name] = child
        elif child is not None:
            inner = outermost_sequences(child)
            found.update({f"{name}.{below}": part for below, part in inner.items()})
    return found


def segments_of(graph: fx.Graph, prefix: str) -> dict[str, list[fx.Node]]:
    """The nodes of each module that is called once, by the name of the module after ``prefix``."""
    segments: dict[str, list[fx.Node]] = {}
    calls: dict[str, set[str]] = {}
    for node in reversed(graph.nodes):
        for call, (path, _) in node.meta.get("nn_module_stack", {}).items():
            if path.startswith(prefix):
                calls.setdefault(path, set()).add(call)
                segments.setdefault(path.removeprefix(prefix), []).append(node)
    return {name: nodes[::-1] for name, nodes in segments.items() if len(calls[prefix + name]) == 1}


def reads_of(nodes: Iterable[fx.Node]) -> Counter[str]:
    """How many of the nodes read something in each module, by the dotted name of the module."""
    found: Counter[str] = Counter()
    for node in nodes:
        if node.op in ("call_module", "get_attr"):
            parts = str(node.target).split(".")
            found.update(".".join(parts[:end]) for end in range(1, len(parts)))
    return found


def extract(
    flat: fx.GraphModule, name: str, child: nn.Module, nodes: list[fx.Node], prefix: str
) -> None:
    """Let ``flat`` call a module ``name`` for ``nodes``, if they are one function of one value."""
    inside = set(nodes)
    if not nodes or (len(nodes) == 1 and "." not in str(nodes[0].target)):
        return
    inputs = {value for node in nodes for value in node.all_input_nodes} - inside
    outputs = [node for node in nodes if any(user not in inside for user in node.users)]
    together = all(one.next is two for one, two in pairwise(nodes))
    if len(inputs) != 1 or len(outputs) != 1 or not together:
        return
    (entry,), (result,) = inputs, outputs
    graph = fx.Graph()
    copies = {entry: graph.placeholder("input")}
    attributes: dict[str, Any] = {}
    for node in nodes:
        copies[node] = graph.node_copy(node, lambda value: copies[value])
        if node.op in ("call_module", "get_attr"):
            own = str(node.target).removeprefix(f"{name}.")
            own = own if own != node.target else own.replace(".", "_")
            copies[node].target = own
            attributes[own] = attribute_of(flat, str(node.target))
    graph.output(copies[result])
    part = fx.GraphModule(attributes, graph, type(child).__name__).eval()
    flat.add_submodule(name, nest(part, child, prefix))
    with flat.graph.inserting_after(nodes[-1]):
        call = flat.graph.call_module(name, (entry,))
    result.replace_all_uses_with(call, delete_user_cb=lambda user: user not in inside)
    for node in reversed(nodes):
        flat.graph.erase_node(node)


def attribute_of(module: nn.Module, name: str) -> Any:
    """The attribute of that dotted name."""
    owner, _, leaf = name.rpartition(".")
    return getattr(module.get_submodule(owner), leaf)


def is_chain(graph: fx.Graph, names: list[str]) -> bool:
    """Whether ``graph`` calls some of the modules ``names`` in order, each on the last result."""
    first, *calls, last = graph.nodes
    rest = iter(names)
    value = first
    for node in calls:
        if node.op != "call_module" or node.args != (value,) or node.kwargs:
            return False
        if str(node.target) not in rest:  # also moves on to after it
            return False
        value = node
    return first.op == "placeholder" and last.args == (value,)
