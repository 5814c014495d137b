"""Where a scale and shift per channel can go: into the producer of its input, or its readers."""

import math
from dataclasses import replace

import torch
from torch import fx

from nascence.reparam.arguments import shape_of
from nascence.reparam.linear_graph import change, operator_of, value_users
from nascence.reparam.operators import (
    ChannelAffine,
    Commuting,
    Concatenation,
    Convolution,
    NotExact,
    OpaqueConvolution,
    Operator,
    Selection,
    Sum,
    added,
    compose_affine,
    scale_input,
    scale_output,
)

Plan = dict[fx.Node, Operator]


def split_affine(affine: ChannelAffine, widths: tuple[int, ...]) -> list[ChannelAffine]:
    """The parts of ``affine`` that act on consecutive blocks of channels."""
    affine = affine.expanded(sum(widths))
    scales, shifts = affine.scale.split(widths), affine.shift.split(widths)
    return [ChannelAffine(a, b, affine.rank) for a, b in zip(scales, shifts, strict=True)]


def is_pooling(found: Operator | None) -> bool:
    """Whether it is a convolution with a fixed kernel, such as an average."""
    return isinstance(found, Convolution) and not found.learned


def passes(found: Convolution, affine: ChannelAffine) -> None:
    """Raise NotExact unless ``affine`` may pass an average pooling or a padding."""
    if bool((affine.shift != 0).any()) and found.is_padded and found.mode == "zeros":
        raise NotExact("a shift does not commute with a padded pooling")
    if affine.channels > 1 and affine.rank != found.rank:
        raise NotExact("the scale acts on another axis than the channels of the pooling")


def through(found: Commuting, affine: ChannelAffine, *, forward: bool) -> ChannelAffine:
    """The map on the other side of ``found`` that has the same effect as ``affine`` here.

    Raises:
        NotExact: The channel axis does not survive the reshaping.
    """
    if bool((affine.shift != 0).any()) and not found.constants:
        raise NotExact("a shift does not commute with the operator beside it")
    if affine.channels == 1:
        return affine
    for (rank_in, rank_out), repeat in found.axes.items():
        if forward and rank_in == affine.rank:
            scale, shift = (v.repeat_interleave(repeat) for v in (affine.scale, affine.shift))
            return ChannelAffine(scale, shift, rank_out)
        if not forward and rank_out == affine.rank:
            scale, shift = (v.reshape(-1, repeat) for v in (affine.scale, affine.shift))
            if not bool((scale == scale[:, :1]).all() and (shift == shift[:, :1]).all()):
                break
            return ChannelAffine(scale[:, 0], shift[:, 0], rank_in)
    raise NotExact("its channel axis does not survive the reshaping beside it")


def absorb_before(node: fx.Node, affine: ChannelAffine, plan: Plan) -> None:
    """Plan how ``node``, whose value is read once, takes ``affine`` after it; or NotExact."""
    if len(value_users(node)) != 1:
        raise NotExact("its input is read by other operations as well")
    absorb_into(node, affine, plan)


def absorb_into(node: fx.Node, affine: ChannelAffine, plan: Plan) -> None:
    """Plan how the value of ``node`` becomes ``affine`` of what it was; raises NotExact."""
    found = operator_of(node)
    if node in plan:
        raise NotExact("its input appears twice")
    if isinstance(found, Convolution) and found.learned:
        plan[node] = scale_output(found, affine)
    elif isinstance(found, OpaqueConvolution):
        plan[node] = scale_opaque(found, affine)
    elif isinstance(found, ChannelAffine):
        plan[node] = compose_affine(found, affine)
    elif isinstance(found, Convolution):
        passes(found, affine)
        absorb_before(parent(node), affine, plan)
    elif isinstance(found, Commuting):
        absorb_before(parent(node), through(found, affine, forward=False), plan)
    elif isinstance(found, Sum):
        absorb_into_sum(node, affine, plan)
    elif isinstance(found, Selection):
        absorb_into(whole_of(node, found), around(affine, found), plan)
    elif isinstance(found, Concatenation):
        if affine.channels > 1 and affine.rank != found.rank:
            raise NotExact("the concatenation runs along another axis")
        parts = split_affine(affine, found.widths)
        for operand, part in zip(node.args, parts, strict=True):
            absorb_before(as_node(operand), part, plan)
    else:
        raise NotExact(f"its input comes from {describe(node)}, which is not linear")


def whole_of(node: fx.Node, found: Selection) -> fx.Node:
    """The value of which ``node`` selects a part that nothing else reads.

    Raises:
        NotExact: Something else reads it as well.
    """
    source = parent(node)
    for user in value_users(source):
        if user is not node and not are_apart(found, operator_of(user)):
            raise NotExact("its input is read by other operations as well")
    return source


def are_apart(one: Selection, other: Operator | None) -> bool:
    """Whether ``other`` selects entries of the same axis that ``one`` does not."""
    if not isinstance(other, Selection) or other.rank != one.rank:
        return False
    return other.stop <= one.start or one.stop <= other.start


def around(affine: ChannelAffine, found: Selection) -> ChannelAffine:
    """``affine`` on the selected part, identity on the rest."""
    widths = (found.start, found.stop - found.start, found.width - found.stop)
    return embed(affine, Concatenation(found.rank, widths), 1)


def selected(affine: ChannelAffine, found: Selection) -> ChannelAffine:
    """The part of ``affine`` that acts on the selection.

    Raises:
        NotExact: It acts on another axis.
    """
    if affine.channels == 1:
        return affine
    if affine.rank != found.rank:
        raise NotExact("the selection runs along another axis")
    affine = affine.expanded(found.width)
    part = slice(found.start, found.stop)
    return replace(affine, scale=affine.scale[part], shift=affine.shift[part])


def scale_opaque(found: OpaqueConvolution, affine: ChannelAffine) -> OpaqueConvolution:
    """A scale after a convolution whose output channels alone are known.

    Raises:
        NotExact: The scale acts on another axis.
    """
    if affine.channels > 1 and affine.rank != found.weight.dim() - 2:
        raise NotExact("the scale acts on another axis than the channels of the convolution")
    affine = affine.expanded(found.weight.shape[0])
    shape = (-1,) + (1,) * (found.weight.dim() - 1)
    return replace(
        found,
        weight=found.weight * affine.scale.reshape(shape),
        bias=added(found.bias * affine.scale, affine.shift),
    )


def absorb_into_sum(node: fx.Node, affine: ChannelAffine, plan: Plan) -> None:
    """Each operand takes the scale, the first one with a positive sign the shift as well."""
    found = operator_of(node)
    assert isinstance(found, Sum)
    bearer = found.signs.index(1)
    plain = replace(affine, shift=torch.zeros_like(affine.shift))
    for index, operand in enumerate(node.args):
        absorb_before(as_node(operand), affine if index == bearer else plain, plan)


def absorb_after(node: fx.Node, affine: ChannelAffine, plan: Plan) -> None:
    """Plan how everything that reads ``node`` takes ``affine`` before it; or NotExact."""
    users = list(dict.fromkeys(value_users(node)))
    if not users:
        raise NotExact("its value is not read")
    for user in users:
        found = plan.get(user) or operator_of(user)
        if isinstance(found, Convolution) and found.learned:
            plan[user] = scale_input(found, affine)
        elif isinstance(found, ChannelAffine):
            plan[user] = compose_affine(affine, found)
        elif isinstance(found, Convolution):
            passes(found, affine)
            absorb_after(user, affine, plan)
        elif isinstance(found, Commuting):
            absorb_after(user, through(found, affine, forward=True), plan)
        elif isinstance(found, Selection):
            absorb_after(user, selected(affine, found), plan)
        elif isinstance(found, Concatenation):
            for index, operand in enumerate(user.args):
                if operand is node:
                    absorb_after(user, embed(affine, found, index), plan)
        else:
            raise NotExact(f"its output goes to {describe(user)}, which cannot take it in")


def embed(affine: ChannelAffine, found: Concatenation, index: int) -> ChannelAffine:
    """``affine`` on block ``index`` of a concatenation and identity on the others.

    Raises:
        NotExact: The concatenation runs along another axis.
    """
    if affine.channels > 1 and affine.rank != found.rank:
        raise NotExact("the concatenation runs along another axis")
    affine = affine.expanded(found.widths[index])
    start = sum(found.widths[:index])
    scale = affine.scale.new_ones(sum(found.widths))
    shift = torch.zeros_like(scale)
    scale[start : start + found.widths[index]] = affine.scale
    shift[start : start + found.widths[index]] = affine.shift
    return ChannelAffine(scale, shift, found.rank)


def carry_out(plan: Plan, *, trained: bool) -> None:
    """Change every node of ``plan``; ``trained`` as for ``change``."""
    for target, operator in plan.items():
        change(target, operator, inputs_of(target), target.meta["owner"], trained=trained)


def as_node(value: object) -> fx.Node:
    """``value``, which must be a node."""
    assert isinstance(value, fx.Node)
    return value


def inputs_of(node: fx.Node) -> tuple[fx.Node, ...]:
    """The inputs of a linear node."""
    return tuple(as_node(value) for value in node.args)


def parent(node: fx.Node) -> fx.Node:
    """The only input of a unary linear node."""
    return as_node(node.args[0])


def positions(node: fx.Node, found: Convolution, fallback: float) -> float:
    """Positions at which ``found`` at ``node`` multiplies, ``fallback`` where no shape is known.

    A transposed convolution multiplies at its input positions; its ``macs`` are divided by the
    stride, which this makes up for.
    """
    place = parent(node) if found.transposed else node
    shape = shape_of(place)
    if shape is None or shape_of(node) is None:
        return fallback
    count = float(math.prod(shape[2:]) if found.rank else math.prod(shape[:-1]))
    return count * math.prod(found.stride) if found.transposed else count


def describe(node: fx.Node) -> str:
    """A readable name for a node."""
    if node.op == "placeholder":
        return "the input of the network"
    if node.op == "output":
        return "the output of the network"
    found = operator_of(node)
    if found is not None:
        return type(found).__name__.lower()
    if "kind" in node.meta:
        return str(node.meta["kind"])
    module = node.graph.owning_module
    if node.op == "call_module" and module is not None:
        return type(module.get_submodule(str(node.target))).__name__
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return str(name)
