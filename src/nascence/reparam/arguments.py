"""Arguments of graph nodes, data or constant, in all the spellings that torch allows."""

from typing import Any

import torch
from torch import Tensor, fx

from nascence.reparam.operators import ChannelAffine, Convolution, NotExact
from nascence.reparam.tracing import is_constant


class NotFoldable(NotExact):
    """A layer that looks linear but is not constant; the message says why."""


def shape_of(node: Any) -> tuple[int, ...] | None:
    """Shape of the value of ``node`` on the example input, None if unknown."""
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
        return [resolve(item) for item in value]
    return value


def bind(node: fx.Node, names: str) -> dict[str, Any] | None:
    """Arguments of ``node`` by name; None if one is unknown to ``names`` or is data.

    The first argument alone may be data; ``given["input"]`` is then its node.
    """
    known = names.split()
    if len(node.args) > len(known) or any(name not in known for name in node.kwargs):
        return None
    given = dict(zip(known, node.args, strict=False)) | dict(node.kwargs)
    given = {name: resolve(value) for name, value in given.items()}
    rest = [value for name, value in given.items() if name != known[0]]
    if has_data(rest) or not isinstance(given.get(known[0]), fx.Node):
        return None
    return given


def has_data(values: list[Any]) -> bool:
    """Whether a node that is not constant is among ``values``, lists in it included."""
    return any(
        isinstance(value, fx.Node) or (isinstance(value, (tuple, list)) and has_data(list(value)))
        for value in values
    )


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """``value`` once per spatial axis."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * rank if len(values) == 1 else values


def padding_pairs(
    padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """(low, high) per axis from an int, a tuple, or the words ``same`` and ``valid``."""
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((amount, amount) for amount in per_axis(padding, len(kernel)))


def padding_of_list(amounts: list[int], rank: int) -> tuple[tuple[int, int], ...] | None:
    """(low, high) per spatial axis from torch's list, which starts at the last axis."""
    if len(amounts) > 2 * rank or len(amounts) % 2:
        return None
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    pairs += [(0, 0)] * (rank - len(pairs))
    return tuple(reversed(pairs))


def double(tensor: Tensor | None, size: int, fill: float) -> Tensor:
    """``tensor``, of any shape, in float64; where it is None, ``fill`` as ``(size,)``."""
    if tensor is None:
        return torch.full((size,), fill, dtype=torch.float64)
    return tensor.detach().to(torch.float64)


def convolution_of(
    weight: Tensor,
    bias: Tensor | None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    mode: str = "zeros",
    output_padding: Any = None,
) -> Convolution:
    """A Convolution from torch's arguments; transposed where ``output_padding`` is given.

    ``weight`` is then ``(in, out / groups, *kernel)``, else ``(out, in / groups, *kernel)``;
    ``bias`` is ``(out,)``.
    """
    weight = weight.detach().to(torch.float64)
    rank = weight.dim() - 2
    transposed = output_padding is not None
    if transposed:
        blocks = weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2)
        weight = blocks.reshape(-1, *blocks.shape[2:])
    kernel = tuple(weight.shape[2:])
    steps = per_axis(dilation, rank)
    return Convolution(
        weight=weight,
        bias=double(bias, weight.shape[0], 0.0),
        stride=per_axis(stride, rank),
        padding=padding_pairs(padding, kernel, steps),
        dilation=steps,
        groups=groups,
        mode=mode,
        transposed=transposed,
        output_padding=per_axis(output_padding, rank) if transposed else (),
    )


def normalisation(
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    rank: int,
) -> ChannelAffine:
    """BatchNorm in evaluation mode: s = γ / √(σ² + ε), y = s x + β - μ s, each ``(C,)``.

    Raises:
        NotFoldable: There are no running statistics, or the scale or the shift is not finite.
    """
    if mean is None or variance is None:
        raise NotFoldable("it has no running statistics and normalises with those of the batch")
    mean, variance = mean.detach().to(torch.float64), variance.detach().to(torch.float64)
    scale = double(weight, mean.numel(), 1.0) / torch.sqrt(variance + eps)
    shift = double(bias, mean.numel(), 0.0) - mean * scale
    if not bool(torch.isfinite(scale).all() and torch.isfinite(shift).all()):
        raise NotFoldable("its variance plus epsilon is zero, or a statistic is not finite")
    return ChannelAffine(scale, shift, rank)


def per_channel(value: Any, data: fx.Node) -> tuple[Tensor, int | None] | None:
    """A constant as values ``(C,)`` or ``(1,)`` and their axis's rank; None if it is not that."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return torch.tensor([float(value)], dtype=torch.float64), None
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return None
    shape = shape_of(data)
    if shape is not None:
        axes_fit = value.dim() <= len(shape) and all(
            size in (1, full) for size, full in zip(value.shape[::-1], shape[::-1], strict=False)
        )
        if not axes_fit:
            return None
    axes = [axis for axis, size in enumerate(value.shape) if size != 1]
    if len(axes) > 1 or (shape is not None and axes and len(shape) - value.dim() + axes[0] == 0):
        return None
    vector = value.detach().to(torch.float64).flatten()
    if not axes:
        return (vector, None) if shape is not None or value.dim() <= 1 else None
    return vector, value.dim() - 1 - axes[0]
