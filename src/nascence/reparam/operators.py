"""Exact algebra of linear operators on channel-first signals, in float64.

A convolution of spatial rank 0 is a linear layer, so one set of formulas serves both. The tap
``i`` of a convolution reads the input at ``stride * position + dilation * i - low`` where
``low`` is its padding before the first element; every formula below moves taps on that line.
Composition and sums of branches follow Ding et al., "Diverse Branch Block", CVPR 2021
(transforms I to VI), with the borders made exact and geometry made general.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


class NotExact(ValueError):
    """A rewrite that would change the function or make it more expensive; the message says why."""


@dataclass(frozen=True, eq=False)
class ChannelAffine:
    """``scale * x + shift`` per channel, the channel at axis ``-(rank + 1)``.

    ``scale`` and ``shift`` have shape ``(C,)``, or ``(1,)`` where every channel is treated
    alike; then ``rank`` may be None and the axis does not matter.
    """

    scale: Tensor
    shift: Tensor
    rank: int | None = None

    @property
    def channels(self) -> int:
        """Number of channels; 1 holds for any number."""
        return max(self.scale.numel(), self.shift.numel())

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return bool((self.scale == 1).all() and (self.shift == 0).all())

    def expanded(self, channels: int) -> "ChannelAffine":
        """The same map written for ``channels`` channels.

        Raises:
            NotExact: It has another number of channels, and not 1.
        """
        if self.channels not in (1, channels):
            raise NotExact(f"a scale of {self.channels} channels meets {channels} channels")
        return replace(self, scale=self.scale.expand(channels), shift=self.shift.expand(channels))


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution with everything that its value depends on.

    ``weight`` is ``(out, in / groups, *kernel)`` also where ``transposed``; ``padding`` holds
    (low, high) per spatial axis and may be negative, which crops; ``mode`` is the padding mode.
    ``learned`` is False for poolings and paddings written as convolutions: they cost no
    multiply-add of their own.
    """

    weight: Tensor
    bias: Tensor
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1
    mode: str = "zeros"
    transposed: bool = False
    output_padding: tuple[int, ...] = ()
    learned: bool = True

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return self.weight.dim() - 2

    @property
    def kernel(self) -> tuple[int, ...]:
        """Kernel size by spatial axis."""
        return tuple(self.weight.shape[2:])

    @property
    def in_channels(self) -> int:
        """Channels of the input."""
        return self.weight.shape[1] * self.groups

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.weight.shape[0]

    @property
    def is_padded(self) -> bool:
        """Whether any side is padded."""
        return any(amount != 0 for pair in self.padding for amount in pair)

    @property
    def is_pointwise(self) -> bool:
        """Each output position reads the input at that position only, at every position."""
        unit = all(size == 1 for size in (*self.kernel, *self.stride))
        return unit and not self.is_padded and not any(self.output_padding)

    @property
    def macs(self) -> float:
        """Multiply-adds per output position."""
        return self.macs_with(self.kernel, self.groups)

    def macs_with(self, kernel: tuple[int, ...], groups: int) -> float:
        """Multiply-adds per output position if kernel and groups were these."""
        if not self.learned:
            return 0.0
        count = self.out_channels * (self.in_channels // groups) * math.prod(kernel)
        return count / math.prod(self.stride) if self.transposed else float(count)


@dataclass(frozen=True, eq=False)
class OpaqueConvolution:
    """A convolution layer of an unknown kind, linear in its weight and bias.

    It takes a scale after it and nothing else; ``layer``, a module or an ONNX node, is copied with
    the new values.
    """

    weight: Tensor
    bias: Tensor
    layer: Any


@dataclass(frozen=True)
class Sum:
    """Sum of the inputs, each with a sign."""

    signs: tuple[int, ...]


@dataclass(frozen=True)
class Concatenation:
    """Concatenation along the axis ``-(rank + 1)``; ``widths`` are the inputs' sizes there."""

    rank: int
    widths: tuple[int, ...]


@dataclass(frozen=True)
class Selection:
    """The entries ``start`` to ``stop`` of the ``width`` along the axis ``-(rank + 1)``."""

    rank: int
    start: int
    stop: int
    width: int


@dataclass(frozen=True)
class FilledPadding:
    """Padding of the spatial axes by a constant that is not zero."""

    pairs: tuple[tuple[int, int], ...]
    value: float
    channels: int


@dataclass(frozen=True)
class Commuting:
    """An operator that a per-channel map may pass: averages, resizing, reshaping.

    ``axes`` maps the rank of the channel axis before and after, as in ``ChannelAffine``, to the
    number of neighbouring channels after that come from one channel before. ``constants`` tells
    whether a constant comes out as that constant.
    """

    axes: dict[tuple[int, int], int]
    constants: bool = True


Operator = (
    ChannelAffine
    | Convolution
    | OpaqueConvolution
    | Sum
    | Concatenation
    | Selection
    | FilledPadding
    | Commuting
)


def as_convolution(affine: ChannelAffine, channels: int, rank: int) -> Convolution:
    """A channel scale written as a depthwise convolution with kernel 1.

    Raises:
        NotExact: The scale acts on another axis.
    """
    if affine.rank not in (None, rank) and affine.channels > 1:
        raise NotExact("the scale acts on another axis than the convolution")
    affine = affine.expanded(channels)
    return Convolution(
        weight=affine.scale.reshape(channels, *([1] * (rank + 1))),
        bias=affine.shift,
        stride=(1,) * rank,
        padding=((0, 0),) * rank,
        dilation=(1,) * rank,
        groups=channels,
        learned=False,
    )


def pooling(
    channels: int,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    *,
    divisor: int | None = None,
    mode: str = "zeros",
) -> Convolution:
    """Average pooling as a depthwise convolution (Ding et al. 2021, transform V).

    With kernel 1 and a padding it is the padding alone.
    """
    value = 1.0 / (divisor or math.prod(kernel))
    weight = torch.full((channels, 1, *kernel), value, dtype=torch.float64)
    bias = torch.zeros(channels, dtype=torch.float64)
    ones = (1,) * len(kernel)
    return Convolution(
        weight, bias, stride, padding, ones, groups=channels, mode=mode, learned=False
    )


def selecting(found: Selection) -> Convolution:
    """A choice of channels written as a convolution with kernel 1."""
    kept = torch.eye(found.width, dtype=torch.float64)[found.start : found.stop]
    return Convolution(
        weight=kept.reshape(*kept.shape, *([1] * found.rank)),
        bias=torch.zeros(len(kept), dtype=torch.float64),
        stride=(1,) * found.rank,
        padding=((0, 0),) * found.rank,
        dilation=(1,) * found.rank,
        learned=False,
    )


def added(one: Tensor, two: Tensor) -> Tensor:
    """``one + two``, of one shape, with what rounding leaves of a cancellation set to zero."""
    total = one + two
    rounding = 8 * torch.finfo(total.dtype).eps * (one.abs() + two.abs())
    return torch.where(total.abs() <= rounding, torch.zeros_like(total), total)


def scale_output(convolution: Convolution, affine: ChannelAffine) -> Convolution:
    """``affine`` after ``convolution``: K' = s K, b' = s b + t (transform I)."""
    check_axis(convolution, affine, convolution.out_channels)
    affine = affine.expanded(convolution.out_channels)
    shape = (-1,) + (1,) * (convolution.weight.dim() - 1)
    return replace(
        convolution,
        weight=convolution.weight * affine.scale.reshape(shape),
        bias=added(convolution.bias * affine.scale, affine.shift),
        learned=True,
    )


def scale_input(convolution: Convolution, affine: ChannelAffine) -> Convolution:
    """``affine`` before ``convolution``; raises NotExact where a shift meets zero padding."""
    check_axis(convolution, affine, convolution.in_channels)
    affine = affine.expanded(convolution.in_channels)
    shifts = bool((affine.shift != 0).any())
    if shifts and convolution.transposed and not convolution.is_pointwise:
        raise NotExact("a shift before a transposed convolution is not constant at the border")
    if shifts and convolution.is_padded and convolution.mode == "zeros":
        raise NotExact("a shift does not commute with the zero padding of the convolution after it")
    groups, rank = convolution.groups, convolution.rank
    shape = (groups, -1, convolution.weight.shape[1], *convolution.kernel)
    weight = convolution.weight.reshape(shape)
    factors = (groups, 1, convolution.weight.shape[1], *([1] * rank))
    extra = (weight * affine.shift.reshape(factors)).flatten(2).sum(2).flatten()
    scaled = (weight * affine.scale.reshape(factors)).reshape(convolution.weight.shape)
    return replace(convolution, weight=scaled, bias=added(convolution.bias, extra), learned=True)


def check_axis(convolution: Convolution, affine: ChannelAffine, channels: int) -> None:
    """Raise NotExact unless ``affine`` acts on the channel axis of ``convolution``."""
    if affine.channels > 1 and affine.rank != convolution.rank:
        raise NotExact("the scale acts on another axis than the channels of the convolution")
    if affine.channels not in (1, channels):
        raise NotExact(f"a scale of {affine.channels} channels meets {channels} channels")


def compose_affine(first: ChannelAffine, second: ChannelAffine) -> ChannelAffine:
    """``second`` after ``first``.

    Raises:
        NotExact: They act on different axes or numbers of channels.
    """
    if first.channels > 1 and second.channels > 1 and first.rank != second.rank:
        raise NotExact("the two scales act on different axes")
    if first.channels > 1 and second.channels > 1 and first.channels != second.channels:
        raise NotExact("the two scales have different numbers of channels")
    rank = first.rank if first.channels > 1 else second.rank
    if first.channels == second.channels == 1:
        rank = first.rank if first.rank is not None else second.rank
    return ChannelAffine(
        first.scale * second.scale, added(first.shift * second.scale, second.shift), rank
    )


def regroup(convolution: Convolution, groups: int) -> Convolution:
    """The same convolution with fewer ``groups`` (a divisor of its own), zeros between blocks."""
    old = convolution.groups
    if old == groups:
        return convolution
    ratio = old // groups
    per_out, per_in = convolution.out_channels // old, convolution.weight.shape[1]
    blocks = convolution.weight.reshape(groups, ratio, per_out, per_in, *convolution.kernel)
    wide = blocks.new_zeros(groups, ratio, per_out, ratio, per_in, *convolution.kernel)
    for block in range(ratio):
        wide[:, block, :, block] = blocks[:, block]
    weight = wide.reshape(convolution.out_channels, ratio * per_in, *convolution.kernel)
    return replace(convolution, weight=weight, groups=groups)


def place(weight: Tensor, sizes: list[int], starts: list[int], steps: list[int]) -> Tensor:
    """Put taps ``(out, in, *kernel)`` at ``start + step * i`` of zeros ``(out, in, *sizes)``."""
    wide = weight.new_zeros(*weight.shape[:2], *sizes)
    index = [slice(None), slice(None)]
    for taps, start, step in zip(weight.shape[2:], starts, steps, strict=True):
        index.append(slice(start, start + step * (taps - 1) + 1, step))
    wide[tuple(index)] = weight
    return wide
