"""The rewrites: each changes the graph at one node where that is exact and costs no more."""

from collections.abc import Callable

import torch
from torch import fx

from nascence.reparam.absorption import (
    Plan,
    absorb_after,
    absorb_before,
    carry_out,
    inputs_of,
    is_pooling,
    parent,
    positions,
)
from nascence.reparam.branches import merge_branches
from nascence.reparam.composition import compose, composed_geometry
from nascence.reparam.concatenations import (
    compose_concatenation,
    split_filled_padding,
    stack_concatenation,
)
from nascence.reparam.linear_graph import (
    LinearGraph,
    bypass,
    change,
    node_name,
    operator_of,
    value_users,
)
from nascence.reparam.operators import ChannelAffine, Convolution, NotExact


def drop_identity(graph: LinearGraph, node: fx.Node) -> bool:
    """A scale of one and a shift of zero is removed."""
    found = operator_of(node)
    if not isinstance(found, ChannelAffine) or not found.is_identity or not node.users:
        return False
    if not node.meta.get("free") and not graph.permit("drop", node, "identity removed"):
        return False
    bypass(node)
    return True


def fix_weight(graph: LinearGraph, node: fx.Node) -> bool:
    """A weight that every forward computes anew from parameters alone is computed once."""
    original = node.meta.get("original")
    if original is None or node.meta.get("changed") or not node.users:
        return False
    found = operator_of(node)
    if not isinstance(found, Convolution) or is_pooling(found):
        return False
    computed: list[fx.Node] = []

    def visit(value: fx.Node) -> fx.Node:
        if "constant" in value.meta and value.op != "get_attr":
            computed.append(value)
        return value

    fx.node.map_arg((original.args, original.kwargs), visit)
    if not computed or not graph.permit("weight", node, "computed once"):
        return False
    change(node, found, inputs_of(node), node.meta["owner"])
    return True


def fold_affine(graph: LinearGraph, node: fx.Node) -> bool:
    """A scale and shift moves into what computes its input, else into what reads its output."""
    found = operator_of(node)
    if not isinstance(found, ChannelAffine) or not node.users or found.is_identity:
        return False
    reasons = []
    for absorb, start in ((absorb_before, parent(node)), (absorb_after, node)):
        plan: Plan = {}
        try:
            absorb(start, found, plan)
        except NotExact as reason:
            reasons.append(str(reason))
            continue
        targets = ", ".join(node_name(target) for target in plan)
        if not graph.permit("affine", node, f"into {targets}"):
            continue
        carry_out(plan, trained=node.meta["trained"])
        bypass(node)
        return True
    if found.channels > 1:
        graph.refusals[node_name(node)] = "; ".join(dict.fromkeys(reasons))
    return False


def move_padding(graph: LinearGraph, node: fx.Node) -> bool:
    """Zero padding before convolutions moves into their own padding.

    Raises:
        NotExact: What follows is no convolution, or cannot hold the padding.
    """
    found = operator_of(node)
    if not is_pooling(found) or not node.users:
        return False
    assert isinstance(found, Convolution)
    if any(size != 1 for size in (*found.kernel, *found.stride)):
        return False
    users = list(dict.fromkeys(value_users(node)))
    plan: Plan = {}
    try:
        for user in users:
            second = operator_of(user)
            if not isinstance(second, Convolution) or not second.learned or len(user.args) != 1:
                raise NotExact("its output goes to something else than a convolution")
            joined = compose(found, second)
            if not graph.holds(joined):
                raise NotExact("the convolution after it cannot hold asymmetric padding")
            plan[user] = joined
    except NotExact:
        return False
    if not graph.permit("pad", node, f"into {', '.join(node_name(user) for user in plan)}"):
        return False
    carry_out(plan, trained=False)
    bypass(node)
    return True


def compose_pair(graph: LinearGraph, node: fx.Node) -> bool:
    """Two convolutions in sequence become one, where exact and without more multiply-adds.

    Raises:
        NotExact: It costs more, or torch has no such padding.
    """
    second = operator_of(node)
    if not isinstance(second, Convolution) or not node.users:
        return False
    before = parent(node)
    first = operator_of(before)
    if not isinstance(first, Convolution) or not (first.learned or second.learned):
        return False
    where = f"{node_name(before)} then {node_name(node)}"
    if len(before.users) != 1:
        return False
    try:
        geometry = composed_geometry(first, second)
        known = 1.0
        for step in second.stride:
            known = known / step if second.transposed else known * step
        spent = second.macs * positions(node, second, 1.0)
        spent += first.macs * positions(before, first, known)
        macs = composed_macs(first, second, geometry.kernel, geometry.groups)
        macs *= positions(
            before if first.transposed else node, first if first.transposed else second, 1.0
        )
        if macs > spent:
            raise NotExact(f"one convolution would take {macs / spent:.2g} times the multiply-adds")
        joined = compose(first, second)
        weights = sum(c.weight.numel() for c in (first, second) if c.learned)
        if macs == spent and joined.weight.numel() > weights:
            raise NotExact("one convolution would have more parameters for the same multiply-adds")
        if not graph.holds(joined):
            raise NotExact("the convolution cannot hold such padding")
    except NotExact as reason:
        graph.refusals[where] = str(reason)
        return False
    if not graph.permit("compose", node, f"{node_name(before)} into it"):
        return False
    owner = node.meta["owner"] if second.learned else before.meta["owner"]
    change(node, joined, inputs_of(before), owner)
    return True


def composed_macs(
    first: Convolution, second: Convolution, kernel: tuple[int, ...], groups: int
) -> float:
    """Multiply-adds per output position of the composition, before it is computed."""
    count = second.out_channels * (first.in_channels // groups)
    for size in kernel:
        count *= size
    total = float(count)
    for shaped in (first, second):
        if shaped.transposed:
            for step in shaped.stride:
                total /= step
    return total


RULES: tuple[Callable[[LinearGraph, fx.Node], bool], ...] = (
    drop_identity,
    fix_weight,
    fold_affine,
    move_padding,
    merge_branches,
    split_filled_padding,
    compose_concatenation,
    stack_concatenation,
    compose_pair,
)


def rewrite(graph: LinearGraph) -> None:
    """Apply every rule to every node until nothing changes."""
    with torch.no_grad():
        changed = True
        for node in graph.nodes:
            drop_identity(graph, node)
        while changed:
            changed = False
            graph.refusals = dict(graph.fixed)
            for node in graph.nodes:
                if "operator" in node.meta and "erased" not in node.meta:
                    changed |= any(rule(graph, node) for rule in RULES)
