"""What each node of a traced graph computes, as a linear operator, or nothing."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from nascence.reparam.channel_scale import ChannelScale
from nascence.reparam.operators import ChannelAffine, Convolution, NotExact, pooling
from nascence.reparam.tracing import is_constant


@dataclass(frozen=True)
class Sum:
    """Sum of the inputs, each with a sign."""

    signs: tuple[int, ...]


@dataclass(frozen=True)
class Concatenation:
    """Concatenation of the inputs along their channel axis; ``widths`` are their channels."""

    rank: int
    widths: tuple[int, ...]


@dataclass(frozen=True)
class Commuting:
    """An operator that a per-channel map may pass: averages, resizing, reshaping.

    ``axes`` maps the rank of the channel axis before and after, as in ``ChannelAffine``, to the
    number of neighbouring channels after that come from one channel before. ``constants`` tells
    whether a constant comes out as that constant.
    """

    axes: dict[tuple[int, int], int]
    constants: bool = True


Operator = ChannelAffine | Convolution | Sum | Concatenation | Commuting


class NotFoldable(NotExact):
    """A layer that looks linear and is not constant; the message says why."""


def double(tensor: Tensor | None, size: int, fill: float) -> Tensor:
    if tensor is None:
        return torch.full((size,), fill, dtype=torch.float64)
    return tensor.detach().to(torch.float64)


def normalisation(
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    rank: int,
) -> ChannelAffine:
    """BatchNorm in evaluation mode: t = γ / √(σ² + ε), y = t x + β - μ t."""
    if mean is None or variance is None:
        raise NotFoldable("it has no running statistics and normalises with those of the batch")
    mean, variance = mean.detach().to(torch.float64), variance.detach().to(torch.float64)
    scale = double(weight, mean.numel(), 1.0) / torch.sqrt(variance + eps)
    shift = double(bias, mean.numel(), 0.0) - mean * scale
    if not bool(torch.isfinite(scale).all() and torch.isfinite(shift).all()):
        raise NotFoldable("its variance plus epsilon is zero, or a statistic is not finite")
    return ChannelAffine(scale, shift, rank)


def read(node: fx.Node, module: fx.GraphModule) -> Operator | None:
    """The operator that ``node`` applies to its non-constant inputs, None if it is not linear.

    Raises NotFoldable for a normalisation whose statistics are not constant.
    """
    if node.op == "call_module":
        layer = module.get_submodule(str(node.target))
        if layer._forward_hooks or layer._forward_pre_hooks:
            return None
        for kind, reader in LAYERS.items():
            if isinstance(layer, kind) and is_plain(layer, kind):
                return reader(layer, node)
        return None
    if node.op not in ("call_function", "call_method"):
        return None
    reader = FUNCTIONS.get(node.target if node.op == "call_function" else str(node.target))
    return None if reader is None else reader(node)


def is_plain(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether ``layer`` computes what ``kind`` computes, and is not a subclass that differs."""
    mine = type(layer)
    same = mine.forward is kind.forward
    return same and getattr(mine, "_conv_forward", None) is getattr(kind, "_conv_forward", None)


def shape_of(node: Any) -> tuple[int, ...] | None:
    return node.meta.get("shape") if isinstance(node, fx.Node) else None


def data_operands(node: fx.Node) -> list[fx.Node]:
    """Inputs of ``node`` that depend on the network's input, in order, with repetitions."""
    found: list[fx.Node] = []

    def visit(parent: fx.Node) -> fx.Node:
        if not is_constant(parent):
            found.append(parent)
        return parent

    fx.node.map_arg((node.args, node.kwargs), visit)
    return found


def resolve(value: Any) -> Any:
    """``value`` with each constant node replaced by what it holds."""
    if isinstance(value, fx.Node):
        return value.meta["constant"] if is_constant(value) else value
    if isinstance(value, (tuple, list)):
        return type(value)(resolve(item) for item in value)
    return value


def bind(node: fx.Node, names: str) -> dict[str, Any] | None:
    """Arguments of ``node`` by name, None if one is unknown to ``names``."""
    known = names.split()
    if len(node.args) > len(known) or any(name not in known for name in node.kwargs):
        return None
    given = dict(zip(known, node.args, strict=False)) | dict(node.kwargs)
    return {name: resolve(value) for name, value in given.items()}


def has_data(values: list[Any]) -> bool:
    return any(
        isinstance(value, fx.Node) or (isinstance(value, (tuple, list)) and has_data(list(value)))
        for value in values
    )


def spread(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value) * (rank // len(value))


def padding_pairs(
    padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """(low, high) per axis from an int, a tuple, or the words ``same`` and ``valid``."""
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((amount, amount) for amount in spread(padding, len(kernel)))


def convolution_of(
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    mode: str = "zeros",
    output_padding: Any = None,
) -> Convolution:
    """A Convolution from torch's arguments; transposed where ``output_padding`` is given."""
    weight = weight.detach().to(torch.float64)
    rank = weight.dim() - 2
    transposed = output_padding is not None
    if transposed:
        blocks = weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2)
        weight = blocks.reshape(-1, *blocks.shape[2:])
    kernel = tuple(weight.shape[2:])
    dilation = spread(dilation, rank)
    return Convolution(
        weight=weight,
        bias=double(bias, weight.shape[0], 0.0),
        stride=spread(stride, rank),
        padding=padding_pairs(padding, kernel, dilation),
        dilation=dilation,
        groups=groups,
        mode=mode,
        transposed=transposed,
        output_padding=spread(output_padding, rank) if transposed else (),
    )


def read_convolution(layer: Any, node: fx.Node) -> Operator | None:
    output_padding = layer.output_padding if layer.transposed else None
    if len(node.args) != 1 or node.kwargs:
        return None
    return convolution_of(
        layer.weight,
        layer.bias,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        layer.padding_mode,
        output_padding,
    )


def read_linear(layer: Any, node: fx.Node) -> Operator | None:
    return convolution_of(layer.weight, layer.bias, 1, 0, 1, 1)


def read_normalisation(layer: Any, node: fx.Node) -> Operator | None:
    ranks = {nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}
    rank = next((value for kind, value in ranks.items() if isinstance(layer, kind)), None)
    shape = shape_of(node)
    if rank is None:
        if shape is None:
            raise NotFoldable("the shape of its input is unknown; give an example input")
        rank = len(shape) - 2
    return normalisation(
        layer.running_mean, layer.running_var, layer.weight, layer.bias, layer.eps, rank
    )


def nothing(layer: Any, node: fx.Node) -> Operator | None:
    one = torch.ones(1, dtype=torch.float64)
    return ChannelAffine(one, torch.zeros_like(one))


def read_scale(layer: Any, node: fx.Node) -> Operator | None:
    scale = layer.scale.detach().to(torch.float64).flatten()
    return ChannelAffine(scale, layer.shift.detach().to(torch.float64).flatten(), layer.rank)


LAYERS: dict[type[nn.Module], Callable[[Any, fx.Node], Operator | None]] = {
    nn.Conv1d: read_convolution,
    nn.Conv2d: read_convolution,
    nn.Conv3d: read_convolution,
    nn.ConvTranspose1d: read_convolution,
    nn.ConvTranspose2d: read_convolution,
    nn.ConvTranspose3d: read_convolution,
    nn.Linear: read_linear,
    nn.BatchNorm1d: read_normalisation,
    nn.BatchNorm2d: read_normalisation,
    nn.BatchNorm3d: read_normalisation,
    nn.SyncBatchNorm: read_normalisation,
    ChannelScale: read_scale,
    nn.Identity: nothing,
    nn.Dropout: nothing,
    nn.Dropout1d: nothing,
    nn.Dropout2d: nothing,
    nn.Dropout3d: nothing,
}


def per_channel(value: Any, data: fx.Node) -> tuple[Tensor, int | None] | None:
    """A constant as one value per channel and the rank of its axis, None if it is not that."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return torch.tensor([float(value)], dtype=torch.float64), None
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return None
    shape = shape_of(data)
    if shape is not None and torch.broadcast_shapes(value.shape, shape) != shape:
        return None
    axes = [axis for axis, size in enumerate(value.shape) if size != 1]
    if len(axes) > 1:
        return None
    vector = value.detach().to(torch.float64).flatten()
    if not axes:
        return (vector, None) if shape is not None or value.dim() <= 1 else None
    return vector, value.dim() - 1 - axes[0]


def read_addition(node: fx.Node, sign: int = 1) -> Operator | None:
    given = bind(node, "input other alpha")
    if given is None or given.get("alpha", 1) != 1 or "other" not in given:
        return None
    left, right = given["input"], given["other"]
    if isinstance(left, fx.Node) and isinstance(right, fx.Node):
        return Sum((1, sign))
    data, constant = (left, right) if isinstance(left, fx.Node) else (right, left)
    found = per_channel(constant, data)
    if found is None:
        return None
    vector, rank = found
    scale = torch.full_like(vector, float(sign if data is right else 1))
    return ChannelAffine(scale, vector if data is right else sign * vector, rank)


def read_subtraction(node: fx.Node) -> Operator | None:
    return read_addition(node, -1)


def read_product(node: fx.Node, *, divide: bool = False) -> Operator | None:
    given = bind(node, "input other")
    if given is None or "other" not in given:
        return None
    left, right = given["input"], given["other"]
    if isinstance(left, fx.Node) == isinstance(right, fx.Node):
        return None
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


def read_quotient(node: fx.Node) -> Operator | None:
    return read_product(node, divide=True)


FUNCTIONS: dict[Any, Callable[[fx.Node], Operator | None]] = {
    operator.add: read_addition,
    operator.iadd: read_addition,
    torch.add: read_addition,
    "add": read_addition,
    "add_": read_addition,
    operator.sub: read_subtraction,
    operator.isub: read_subtraction,
    torch.sub: read_subtraction,
    "sub": read_subtraction,
    "sub_": read_subtraction,
    operator.mul: read_product,
    operator.imul: read_product,
    torch.mul: read_product,
    "mul": read_product,
    "mul_": read_product,
    operator.truediv: read_quotient,
    torch.div: read_quotient,
    "div": read_quotient,
}


def read_padding(node: fx.Node) -> Operator | None:
    """Padding by zeros, or cropping, of spatial axes only."""
    given = bind(node, "input pad mode value")
    shape = shape_of(node)
    if given is None or shape is None or has_data(list(given.get("pad", ()))):
        return None
    if given.get("mode", "constant") != "constant" or given.get("value") not in (None, 0, 0.0):
        return None
    amounts = list(given["pad"])
    rank = len(shape) - 2
    if len(amounts) > 2 * rank or rank < 1:
        return None
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    pairs += [(0, 0)] * (rank - len(pairs))
    ones = (1,) * rank
    return pooling(shape[1], ones, ones, tuple(reversed(pairs)))


FUNCTIONS[F.pad] = read_padding
