"""Operators of torch's functions and tensor methods."""

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from nascence.reparam.arguments import (
    NotFoldable,
    bind,
    convolution_of,
    has_data,
    normalisation,
    padding_of_list,
    per_axis,
    per_channel,
    resolve,
    shape_of,
)
from nascence.reparam.operators import (
    ChannelAffine,
    Commuting,
    Concatenation,
    FilledPadding,
    Operator,
    Sum,
    pooling,
)

Reader = Callable[[fx.Node], Operator | None]


def operands_of(node: fx.Node) -> tuple[Any, Any] | None:
    """Both arguments of a binary operator, None if it has others."""
    names = ("input", "other", "alpha")
    if len(node.args) > 2 or any(name not in names for name in node.kwargs):
        return None
    given = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    if resolve(given.get("alpha", 1)) != 1 or "other" not in given:
        return None
    return resolve(given["input"]), resolve(given["other"])


def _read_addition(node: fx.Node, sign: int = 1) -> Operator | None:
    pair = operands_of(node)
    if pair is None:
        return None
    left, right = pair
    if isinstance(left, fx.Node) and isinstance(right, fx.Node):
        return Sum((1, sign))
    data, constant = (left, right) if isinstance(left, fx.Node) else (right, left)
    found = per_channel(constant, data)
    if found is None:
        return None
    vector, rank = found
    scale = torch.full_like(vector, float(sign if data is right else 1))
    return ChannelAffine(scale, vector if data is right else sign * vector, rank)


def _read_subtraction(node: fx.Node) -> Operator | None:
    return _read_addition(node, -1)


def _read_product(node: fx.Node, *, divide: bool = False) -> Operator | None:
    pair = operands_of(node)
    if pair is None or isinstance(pair[0], fx.Node) == isinstance(pair[1], fx.Node):
        return None
    left, right = pair
    data, constant = (left, right) if isinstance(left, fx.Node) else (right, left)
    found = None if divide and data is right else per_channel(constant, data)
    if found is None:
        return None
    vector, rank = found
    if divide:
        vector = 1.0 / vector
    if not bool(torch.isfinite(vector).all()):
        return None
    return ChannelAffine(vector, torch.zeros_like(vector), rank)


def _read_quotient(node: fx.Node) -> Operator | None:
    return _read_product(node, divide=True)


def _read_negation(node: fx.Node) -> Operator | None:
    one = torch.ones(1, dtype=torch.float64)
    return ChannelAffine(-one, torch.zeros_like(one))


def _read_convolution(node: fx.Node) -> Operator | None:
    given = bind(node, "input weight bias stride padding dilation groups")
    if given is None or given.get("weight") is None:
        return None
    settings = {key: given[key] for key in ("stride", "padding", "dilation") if key in given}
    return convolution_of(
        given["weight"], given.get("bias"), groups=given.get("groups", 1), **settings
    )


def _read_transposed(node: fx.Node) -> Operator | None:
    given = bind(node, "input weight bias stride padding output_padding groups dilation")
    if given is None or given.get("weight") is None:
        return None
    settings = {key: given[key] for key in ("stride", "padding", "dilation") if key in given}
    return convolution_of(
        given["weight"],
        given.get("bias"),
        groups=given.get("groups", 1),
        output_padding=given.get("output_padding", 0),
        **settings,
    )


def _read_linear(node: fx.Node) -> Operator | None:
    given = bind(node, "input weight bias")
    if given is None or given.get("weight") is None or given["weight"].dim() != 2:
        return None
    return convolution_of(given["weight"], given.get("bias"))


def _read_normalisation(node: fx.Node) -> Operator | None:
    given = bind(node, "input running_mean running_var weight bias training momentum eps")
    if given is None:
        return None
    if given.get("training", False):
        raise NotFoldable("it normalises with the statistics of the batch")
    shape = shape_of(node)
    if shape is None:
        raise NotFoldable("the shape of its input is unknown; give an example input")
    mean, variance = given.get("running_mean"), given.get("running_var")
    weight, bias = given.get("weight"), given.get("bias")
    return normalisation(mean, variance, weight, bias, given.get("eps", 1e-5), len(shape) - 2)


def average(
    node: fx.Node,
    *,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    ceil_mode: bool,
    include: bool,
    divisor: int | None,
) -> Operator | None:
    """An average pooling: a convolution where its windows are all alike, else Commuting."""
    shape = shape_of(node)
    if shape is None or len(shape) != len(kernel) + 2:
        return None
    if ceil_mode or (any(padding) and not include):
        return None if divisor or (ceil_mode and any(padding)) else passing_axis(node)
    pairs = tuple((amount, amount) for amount in padding)
    return pooling(shape[1], kernel, stride, pairs, divisor=divisor)


def _average_reader(rank: int) -> Reader:
    def read_average(node: fx.Node) -> Operator | None:
        given = bind(
            node,
            "input kernel_size stride padding ceil_mode count_include_pad divisor_override",
        )
        if given is None:
            return None
        kernel = per_axis(given["kernel_size"], rank)
        stride = given.get("stride")
        return average(
            node,
            kernel=kernel,
            stride=kernel if stride is None or stride == [] else per_axis(stride, rank),
            padding=per_axis(given.get("padding", 0), rank),
            ceil_mode=given.get("ceil_mode", False),
            include=given.get("count_include_pad", True),
            divisor=given.get("divisor_override"),
        )

    return read_average


def padding_operator(
    node: fx.Node, pairs: tuple[tuple[int, int], ...], mode: str, value: Any
) -> Operator | None:
    """Padding of the spatial axes of ``node`` in any of torch's modes."""
    shape = shape_of(node)
    if shape is None or len(shape) != len(pairs) + 2:
        return None
    ones = (1,) * len(pairs)
    if mode != "constant":
        return pooling(shape[1], ones, ones, pairs, mode=mode)
    if value in (None, 0):
        return pooling(shape[1], ones, ones, pairs)
    return FilledPadding(pairs, float(value), shape[1])


def _read_padding(node: fx.Node) -> Operator | None:
    given, shape = bind(node, "input pad mode value"), shape_of(node)
    if given is None or shape is None or len(shape) < 3:
        return None
    pairs = padding_of_list(list(given["pad"]), len(shape) - 2)
    if pairs is None:
        return None
    return padding_operator(node, pairs, given.get("mode", "constant"), given.get("value"))


def _read_dropout(node: fx.Node) -> Operator | None:
    given = bind(node, "input p training inplace")
    if given is None or given.get("training", True):
        return None
    one = torch.ones(1, dtype=torch.float64)
    return ChannelAffine(one, torch.zeros_like(one))


def _read_concatenation(node: fx.Node) -> Operator | None:
    known = ("tensors", "dim")
    given = dict(zip(known, node.args, strict=False)) | dict(node.kwargs)
    parts, axis = given.get("tensors"), resolve(given.get("dim", given.get("axis", 0)))
    if not isinstance(parts, (tuple, list)) or not isinstance(axis, int):
        return None
    shapes = [shape_of(part) for part in parts]
    if any(shape is None for shape in shapes) or any(not has_data([resolve(p)]) for p in parts):
        return None
    full = [shape for shape in shapes if shape is not None]
    axis = axis - len(full[0]) if axis >= 0 else axis
    if axis == -len(full[0]):
        return None
    return Concatenation(-axis - 1, tuple(shape[axis] for shape in full))


def passing_axis(node: fx.Node) -> Operator | None:
    """Commuting along the channel axis 1, for averages and resizing."""
    shape = shape_of(node)
    if shape is None or len(shape) < 3:
        return None
    rank = len(shape) - 2
    return Commuting({(rank, rank): 1})


def _read_mean(node: fx.Node) -> Operator | None:
    given = bind(node, "input dim keepdim")
    source = given and shape_of(given["input"])
    if given is None or source is None or given.get("dim") is None:
        return None
    size = len(source)
    gone = {axis % size for axis in per_axis(given["dim"], 1)}
    axes = {}
    for axis in range(1, size):
        if axis not in gone:
            after = [a for a in range(axis + 1, size) if given.get("keepdim") or a not in gone]
            axes[size - 1 - axis, len(after)] = 1
    return Commuting(axes)


def read_reshaping(node: fx.Node) -> Operator | None:
    """A change of shape that keeps the order of the values."""
    source, target = shape_of(node.args[0]), shape_of(node)
    if source is None or target is None:
        return None
    axes = {}
    for axis in range(1, len(source)):
        inner = math.prod(source[axis + 1 :])
        for other in range(len(target)):
            rest = math.prod(target[other + 1 :])
            repeat = target[other] // source[axis] if target[other] % source[axis] == 0 else 0
            whole = math.prod(source[:axis]) == math.prod(target[:other])
            if repeat and rest * repeat == inner and whole and source[axis] > 1:
                axes[len(source) - 1 - axis, len(target) - 1 - other] = repeat
    return Commuting(axes)


def _read_transposition(node: fx.Node) -> Operator | None:
    source = shape_of(node.args[0])
    rest = [resolve(value) for value in node.args[1:]]
    if source is None or node.kwargs or has_data(rest):
        return None
    size = len(source)
    if node.target in (torch.transpose, "transpose"):
        order = list(range(size))
        one, two = rest[0] % size, rest[1] % size
        order[one], order[two] = order[two], order[one]
    else:
        order = [axis % size for axis in (rest[0] if isinstance(rest[0], list) else rest)]
    return Commuting(
        {(size - 1 - old, size - 1 - new): 1 for new, old in enumerate(order) if old > 0}
    )


def _read_copy(node: fx.Node) -> Operator | None:
    shape = shape_of(node)
    return None if shape is None else Commuting({(r, r): 1 for r in range(len(shape) - 1)})


def _table() -> dict[Any, Reader]:
    readers: dict[Any, Reader] = {}
    groups: list[tuple[Reader, list[Any]]] = [
        (_read_addition, [operator.add, operator.iadd, torch.add, "add", "add_"]),
        (_read_subtraction, [operator.sub, operator.isub, torch.sub, "sub", "sub_"]),
        (_read_product, [operator.mul, operator.imul, torch.mul, "mul", "mul_"]),
        (_read_quotient, [operator.truediv, operator.itruediv, torch.div, "div", "div_"]),
        (_read_negation, [operator.neg, torch.neg, "neg"]),
        (_read_convolution, [F.conv1d, F.conv2d, F.conv3d]),
        (_read_transposed, [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d]),
        (_read_linear, [F.linear]),
        (_read_normalisation, [F.batch_norm]),
        (_average_reader(1), [F.avg_pool1d]),
        (_average_reader(2), [F.avg_pool2d]),
        (_average_reader(3), [F.avg_pool3d]),
        (_read_padding, [F.pad]),
        (_read_dropout, [F.dropout]),
        (_read_concatenation, [torch.cat, torch.concat]),
        (passing_axis, [F.interpolate]),
        (passing_axis, [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d]),
        (_read_mean, [torch.mean, "mean"]),
        (read_reshaping, [torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze]),
        (read_reshaping, ["flatten", "reshape", "view", "squeeze", "unsqueeze", "reshape_as"]),
        (_read_transposition, [torch.permute, torch.transpose, "permute", "transpose"]),
        (_read_copy, ["contiguous", "clone", torch.clone]),
    ]
    for reader, targets in groups:
        readers.update(dict.fromkeys(targets, reader))
    return readers


FUNCTIONS = _table()
