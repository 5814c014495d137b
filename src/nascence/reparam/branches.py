"""Sums and concatenations of parallel linear branches of one value, merged into one operator."""

from dataclasses import dataclass

import torch
from torch import fx

from nascence.reparam.absorption import as_node, positions
from nascence.reparam.composition import (
    add_branches,
    common_geometry,
    compose,
    composed_geometry,
)
from nascence.reparam.linear_graph import (
    LinearGraph,
    change,
    linear_value,
    node_name,
    operator_of,
    value_users,
)
from nascence.reparam.operators import (
    ChannelAffine,
    Convolution,
    NotExact,
    Selection,
    Sum,
    as_convolution,
    compose_affine,
    scale_input,
    scale_output,
    selecting,
)

LONGEST_CHAIN = 8
LARGEST_KERNEL = 2**28  # values; a merged weight beyond 2 GB in float64 is not worth having


@dataclass(frozen=True)
class Branch:
    """One term written as ``operator`` of ``source``; ``macs`` is what it costs unmerged."""

    source: fx.Node
    operator: ChannelAffine | Convolution
    macs: float
    owner: str
    nodes: tuple[fx.Node, ...] = ()


def identity() -> ChannelAffine:
    """The map that changes nothing."""
    one = torch.ones(1, dtype=torch.float64)
    return ChannelAffine(one, torch.zeros_like(one))


def chain_of(node: fx.Node) -> list[fx.Node]:
    """``node`` and the values from which only linear operators with one reader lead to it."""
    chain = [node]
    for _ in range(LONGEST_CHAIN):
        here = chain[-1]
        unary = isinstance(operator_of(here), (ChannelAffine, Convolution, Selection))
        if not unary or len(here.users) != 1 or len(value_users(here)) != 1:
            break
        chain.append(as_node(here.args[0]))
    return chain


def branch_from(chain: list[fx.Node], source: fx.Node) -> Branch:
    """The operators of ``chain`` up to ``source`` as one; raises NotExact where they are not."""
    nodes = tuple(chain[: chain.index(source)])
    tail: ChannelAffine | Convolution = identity()
    macs, owner = 0.0, ""
    known, last = 1.0, 0.0
    for node in nodes:
        head = operator_of(node)
        assert isinstance(head, (ChannelAffine, Convolution, Selection))
        tail = after(selecting(head) if isinstance(head, Selection) else head, tail)
        if isinstance(head, Convolution):
            here = positions(node, head, known)
            last = last or here
            macs += head.macs * here / last
            for step in head.stride:
                known = known / step if head.transposed else known * step
            if head.learned and not owner:
                owner = node.meta["owner"]
    return Branch(source, tail, macs, owner, nodes)


def after(
    head: ChannelAffine | Convolution, tail: ChannelAffine | Convolution
) -> ChannelAffine | Convolution:
    """``tail`` after ``head``.

    Raises:
        NotExact: The composed kernel would be too large.
    """
    if isinstance(head, ChannelAffine):
        if isinstance(tail, ChannelAffine):
            return compose_affine(head, tail)
        return scale_input(tail, head)
    if isinstance(tail, ChannelAffine):
        return head if tail.is_identity else scale_output(head, tail)
    geometry = composed_geometry(head, tail)
    size = tail.out_channels * (head.in_channels // geometry.groups)
    for taps in geometry.kernel:
        size *= taps
    if size > LARGEST_KERNEL:
        raise NotExact("the composed kernel would be too large")
    return compose(head, tail)


def negated(branch: Branch) -> ChannelAffine | Convolution:
    """The operator of a branch, its output negated."""
    minus = ChannelAffine(-identity().scale, torch.zeros(1, dtype=torch.float64))
    operator = branch.operator
    if isinstance(operator, ChannelAffine):
        return compose_affine(operator, minus)
    return scale_output(operator, minus)


def terms_of(node: fx.Node) -> list[tuple[int, fx.Node]]:
    """Signed terms of a sum, sums that only it reads opened up."""
    found = operator_of(node)
    assert isinstance(found, Sum)
    terms: list[tuple[int, fx.Node]] = []
    for sign, operand in zip(found.signs, node.args, strict=True):
        inner = as_node(operand)
        alone = len(inner.users) == 1 and len(value_users(inner)) == 1
        if isinstance(operator_of(inner), Sum) and alone:
            terms.extend((sign * s, value) for s, value in terms_of(inner))
        else:
            terms.append((sign, inner))
    return terms


def merge_branches(graph: LinearGraph, node: fx.Node) -> bool:
    """Terms of a sum that are linear in one value become one operator of that value."""
    if not isinstance(operator_of(node), Sum) or not node.users:
        return False
    if any(isinstance(operator_of(user), Sum) for user in node.users) and len(node.users) == 1:
        return False  # the outer sum sees these terms as well
    terms = terms_of(node)
    chains = [chain_of(value) for _, value in terms]
    for source in shared_sources(chains):
        branches, indices = [], []
        for index, ((sign, _), chain) in enumerate(zip(terms, chains, strict=True)):
            if source not in chain:
                continue
            try:
                branch = branch_from(chain, source)
            except NotExact as reason:
                graph.refusals[node_name(terms[index][1])] = str(reason)
                continue
            operator = branch.operator if sign > 0 else negated(branch)
            branches.append(Branch(source, operator, branch.macs, branch.owner, branch.nodes))
            indices.append(index)
        merged = cheapest_merge(graph, node, branches)
        if merged is None:
            continue
        operator, members = merged
        names = ", ".join(branches[m].owner or "identity" for m in members)
        if not graph.permit("branches", node, f"{len(members)} branches merged: {names}"):
            continue
        owner = next((branches[m].owner for m in members if branches[m].owner), "")
        gone = {indices[m] for m in members}
        rest = [term for index, term in enumerate(terms) if index not in gone]
        trained = any(n.meta["trained"] for m in members for n in branches[m].nodes)
        put_back(node, operator, source, rest, owner or node.meta["owner"], trained=trained)
        return True
    return False


def shared_sources(chains: list[list[fx.Node]]) -> list[fx.Node]:
    """Values that at least two chains reach, the most widely shared and nearest first."""
    counts: dict[fx.Node, tuple[int, int]] = {}
    for chain in chains:
        for depth, value in enumerate(chain):
            number, depths = counts.get(value, (0, 0))
            counts[value] = (number + 1, depths + depth)
    shared = [value for value, (number, _) in counts.items() if number > 1]
    return sorted(shared, key=lambda value: (-counts[value][0], counts[value][1]))


def cheapest_merge(
    graph: LinearGraph, node: fx.Node, branches: list[Branch]
) -> tuple[ChannelAffine | Convolution, list[int]] | None:
    """The merged operator and the branches in it, grown from the dearest branch."""
    order = sorted(range(len(branches)), key=lambda index: -branches[index].macs)
    while len(order) > 1:
        members, total = [order[0]], branches[order[0]].macs
        operator = branches[order[0]].operator
        for index in order[1:]:
            try:
                joined = join(operator, branches[index].operator, total + branches[index].macs)
            except NotExact as reason:
                graph.refusals[
                    f"{node_name(node)}, branch {branches[index].owner or 'identity'}"
                ] = str(reason)
                continue
            operator, total = joined, total + branches[index].macs
            members.append(index)
        if len(members) > 1:
            return operator, members
        order = order[1:]
    return None


def join(
    one: ChannelAffine | Convolution, two: ChannelAffine | Convolution, budget: float
) -> ChannelAffine | Convolution:
    """The sum of two branches if it takes at most ``budget`` multiply-adds per position.

    Raises:
        NotExact: It takes more, or both are poolings.
    """
    if isinstance(one, ChannelAffine) and isinstance(two, ChannelAffine):
        if one.channels > 1 and two.channels > 1 and one.rank != two.rank:
            raise NotExact("the two scales act on different axes")
        rank = one.rank if one.channels > 1 else two.rank
        return ChannelAffine(one.scale + two.scale, one.shift + two.shift, rank)
    if isinstance(one, ChannelAffine):
        assert isinstance(two, Convolution)
        one = as_convolution(one, two.in_channels, two.rank)
    if isinstance(two, ChannelAffine):
        two = as_convolution(two, one.in_channels, one.rank)
    geometry = common_geometry([one, two])
    if not (one.learned or two.learned):
        raise NotExact("poolings beside each other are left as they are")
    costs = [b.macs_with(geometry.kernel, geometry.groups) for b in (one, two) if b.learned]
    if max(costs) > budget:
        raise NotExact(
            f"the merged kernel would take {max(costs) / max(budget, 1):.2g} times the "
            "multiply-adds"
        )
    return add_branches([one, two])


def put_back(
    node: fx.Node,
    operator: ChannelAffine | Convolution,
    source: fx.Node,
    rest: list[tuple[int, fx.Node]],
    owner: str,
    *,
    trained: bool,
) -> None:
    """The sum as ``operator`` of ``source`` plus the terms that are left."""
    if not rest:
        change(node, operator, (source,), owner, trained=trained)
        return
    with node.graph.inserting_before(node):
        merged = node.graph.call_function(linear_value, (source,))
    inherited = ("shape", "nn_module_stack", "value")
    merged.meta.update({key: node.meta[key] for key in inherited if key in node.meta})
    change(merged, operator, (source,), owner, trained=trained)
    signs = (1, *(sign for sign, _ in rest))
    change(node, Sum(signs), (merged, *(value for _, value in rest)), node.meta["owner"])
