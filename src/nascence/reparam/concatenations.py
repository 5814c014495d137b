"""Concatenations of linear branches, alone or before a convolution, and filled paddings."""

import math

import torch
from torch import fx

from nascence.reparam.absorption import (
    Plan,
    absorb_after,
    absorb_before,
    carry_out,
    inputs_of,
    parent,
)
from nascence.reparam.arguments import shape_of
from nascence.reparam.branches import Branch, branch_from, chain_of, identity, shared_sources
from nascence.reparam.composition import (
    add_branches,
    common_geometry,
    compose,
    composed_geometry,
    input_slice,
    stack_branches,
)
from nascence.reparam.linear_graph import LinearGraph, change, node_name, operator_of, value_users
from nascence.reparam.operators import (
    ChannelAffine,
    Concatenation,
    Convolution,
    FilledPadding,
    NotExact,
    as_convolution,
    pooling,
    scale_output,
)


def branches_of(node: fx.Node) -> tuple[fx.Node, list[Branch]]:
    """Every input of a concatenation as a branch of one value; NotExact where there is none."""
    chains = [chain_of(value) for value in inputs_of(node)]
    for source in shared_sources(chains):
        if all(source in chain for chain in chains):
            return source, [branch_from(chain, source) for chain in chains]
    raise NotExact("its inputs do not come from one value")


def written_out(branches: list[Branch], found: Concatenation) -> list[Convolution]:
    """The operators of ``branches`` as convolutions of the rank of the concatenation.

    Raises:
        NotExact: They are no convolutions along its axis.
    """
    operators = []
    for branch, width in zip(branches, found.widths, strict=True):
        operator = branch.operator
        if isinstance(operator, ChannelAffine):
            operator = as_convolution(operator, width, found.rank)
        if operator.rank != found.rank or operator.transposed:
            raise NotExact("its inputs are not convolutions along its axis")
        operators.append(operator)
    return operators


def stack_concatenation(graph: LinearGraph, node: fx.Node) -> bool:
    """Parallel convolutions of one value, concatenated, become one convolution."""
    found = operator_of(node)
    if not isinstance(found, Concatenation) or not node.users:
        return False
    try:
        source, branches = branches_of(node)
        if not any(branch.owner for branch in branches):
            raise NotExact("its inputs hold no convolution")
        operators = written_out(branches, found)
        geometry = common_geometry(operators, stacked=True)
        taps = 1
        for size in geometry.kernel:
            taps *= size
        macs = sum(found.widths) * operators[0].in_channels * taps
        spent = sum(branch.macs for branch in branches)
        if macs > spent:
            raise NotExact(f"one convolution would take {macs / max(spent, 1):.2g} times the macs")
        stacked = stack_branches(operators)
    except NotExact:
        return False
    if not graph.permit("stack", node, f"{len(branches)} convolutions side by side"):
        return False
    change(node, stacked, (source,), next(b.owner for b in branches if b.owner))
    return True


def compose_concatenation(graph: LinearGraph, node: fx.Node) -> bool:
    """A convolution after a concatenation of linear branches of one value becomes one.

    Raises:
        NotExact: It would take more multiply-adds.
    """
    second = operator_of(node)
    if not isinstance(second, Convolution) or not node.users or len(node.args) != 1:
        return False
    before = parent(node)
    found = operator_of(before)
    if not isinstance(found, Concatenation) or len(before.users) != 1:
        return False
    if found.rank != second.rank or second.groups != 1 or second.transposed:
        return False
    try:
        source, branches = branches_of(before)
        operators = written_out(branches, found)
        joined = sum_of_slices(operators, second, found)
        known = float(math.prod(second.stride))
        inner, outer = shape_of(before), shape_of(node)
        if inner is not None and outer is not None:
            known = math.prod(inner[2:]) / math.prod(outer[2:]) if found.rank else 1.0
        spent = second.macs + known * sum(branch.macs for branch in branches)
        if joined.macs > spent:
            raise NotExact(
                f"one convolution would take {joined.macs / spent:.2g} times the multiply-adds"
            )
    except NotExact as reason:
        graph.refusals[f"{node_name(before)} then {node_name(node)}"] = str(reason)
        return False
    if not graph.permit("concatenation", node, f"{node_name(before)} and its inputs into it"):
        return False
    change(node, joined, (source,), node.meta["owner"])
    return True


def sum_of_slices(
    operators: list[Convolution], second: Convolution, found: Concatenation
) -> Convolution:
    """``second`` on the concatenation of ``operators``: each through its channels, summed.

    Raises:
        NotExact: The branches read different numbers of channels.
    """
    if len(value_set := {operator.in_channels for operator in operators}) > 1:
        raise NotExact(f"the branches read {sorted(value_set)} channels")
    parts, start = [], 0
    for operator, width in zip(operators, found.widths, strict=True):
        part = input_slice(second, start, start + width)
        composed_geometry(operator, part)
        parts.append(compose(operator, part))
        start += width
    total = add_branches(parts)
    shift = ChannelAffine(torch.ones_like(second.bias), second.bias, second.rank)
    return scale_output(total, shift)


def split_filled_padding(graph: LinearGraph, node: fx.Node) -> bool:
    """Padding by a constant becomes padding by zeros where both sides absorb the constant.

    pad_c(x) = pad_0(x - c) + c.
    """
    found = operator_of(node)
    if not isinstance(found, FilledPadding) or not node.users or len(value_users(node)) == 0:
        return False
    fill = torch.full((1,), found.value, dtype=torch.float64)
    one = identity()
    plan: Plan = {}
    try:
        absorb_before(parent(node), ChannelAffine(one.scale, -fill), plan)
        absorb_after(node, ChannelAffine(one.scale, fill), plan)
    except NotExact as reason:
        graph.refusals[node_name(node)] = f"padding by {found.value}: {reason}"
        return False
    if not graph.permit("filled padding", node, "padding by zeros"):
        return False
    carry_out(plan, trained=False)
    ones = (1,) * len(found.pairs)
    change(
        node, pooling(found.channels, ones, ones, found.pairs), inputs_of(node), node.meta["owner"]
    )
    return True
