"""Convolutions in sequence, in parallel and side by side, as one convolution."""

import itertools
import math
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nascence.reparam.operators import Convolution, NotExact, place, regroup


class Geometry(NamedTuple):
    """Where the taps of a convolution lie, and what it costs per output position."""

    kernel: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int


def gcd_or_one(*values: int) -> int:
    """The greatest common divisor, 1 where all are 0."""
    return math.gcd(*values) or 1


def common_mode(branches: list[Convolution]) -> str:
    """The padding mode that all padded branches share; NotExact where they differ."""
    modes = {branch.mode for branch in branches if branch.is_padded}
    if len(modes) > 1:
        raise NotExact(f"the branches pad differently: {', '.join(sorted(modes))}")
    return modes.pop() if modes else "zeros"


def common_geometry(branches: list[Convolution], *, stacked: bool = False) -> Geometry:
    """The smallest kernel that holds the taps of every branch (Ding et al. 2021, transform VI).

    Raises NotExact where the branches cannot be one convolution.
    """
    first = branches[0]
    if any(branch.in_channels != first.in_channels for branch in branches):
        raise NotExact("the branches read different numbers of channels")
    if not stacked and any(branch.out_channels != first.out_channels for branch in branches):
        raise NotExact("the branches write different numbers of channels")
    for branch in branches:
        if branch.rank != first.rank or branch.transposed != first.transposed:
            raise NotExact("the branches are different kinds of convolution")
        if branch.stride != first.stride:
            raise NotExact("the branches have different strides")
    common_mode(branches)
    axes = [_common_axis(branches, axis) for axis in range(first.rank)]
    groups = 1 if stacked else math.gcd(*(branch.groups for branch in branches))
    return Geometry(
        tuple(axis[0] for axis in axes),
        tuple(axis[1] for axis in axes),
        tuple(axis[2] for axis in axes),
        groups,
    )


def _common_axis(branches: list[Convolution], axis: int) -> tuple[int, tuple[int, int], int]:
    lows, highs, spare, steps = [], [], set(), []
    for branch in branches:
        low, high = branch.padding[axis]
        reach = branch.dilation[axis] * (branch.kernel[axis] - 1)
        lows.append(-low)
        highs.append(reach - low)
        extra = -branch.output_padding[axis] if branch.transposed else 0
        spare.add(low + high - reach + extra)
        if branch.kernel[axis] > 1:
            steps.append(branch.dilation[axis])
    if len(spare) > 1:
        raise NotExact("the branches have different output sizes or offsets")
    low, high = min(lows), max(highs)
    step = gcd_or_one(*steps, *(value - low for value in lows))
    kernel = (high - low) // step + 1
    return kernel, (-low, spare.pop() + high), step


def aligned(branch: Convolution, geometry: Geometry) -> Tensor:
    """The kernel of ``branch`` written in ``geometry``, zeros where it has no tap.

    ``(out, in / groups, *kernel)``, both of ``geometry``.
    """
    branch = regroup(branch, geometry.groups)
    starts, steps = [], []
    for axis, step in enumerate(geometry.dilation):
        starts.append((geometry.padding[axis][0] - branch.padding[axis][0]) // step)
        steps.append(branch.dilation[axis] // step if branch.kernel[axis] > 1 else 1)
    return place(branch.weight, list(geometry.kernel), starts, steps)


def add_branches(branches: list[Convolution]) -> Convolution:
    """The sum of parallel convolutions of one input (transforms II and VI)."""
    geometry = common_geometry(branches)
    first = branches[0]
    padding, output_padding = geometry.padding, first.output_padding
    if first.transposed:
        padding, output_padding = _transposed_padding(branches, geometry)
    return replace(
        first,
        weight=torch.stack([aligned(branch, geometry) for branch in branches]).sum(0),
        bias=torch.stack([branch.bias for branch in branches]).sum(0),
        padding=padding,
        dilation=geometry.dilation,
        groups=geometry.groups,
        mode=common_mode(branches),
        output_padding=output_padding,
        learned=any(branch.learned for branch in branches),
    )


def _transposed_padding(
    branches: list[Convolution], geometry: Geometry
) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Symmetric cropping plus the output padding that gives the branches' output size."""
    first = branches[0]
    padding, output_padding = [], []
    for axis, (low, high) in enumerate(geometry.padding):
        if low < 0:
            raise NotExact("the merged transposed convolution would need negative padding")
        extra = low - high
        limit = max(first.stride[axis], geometry.dilation[axis])
        if not 0 <= extra < limit:
            raise NotExact("the merged transposed convolution has no valid output padding")
        padding.append((low, low))
        output_padding.append(extra)
    return tuple(padding), tuple(output_padding)


def stack_branches(branches: list[Convolution]) -> Convolution:
    """The channel concatenation of parallel convolutions of one input (transform IV).

    Raises:
        NotExact: One is transposed.
    """
    if any(branch.transposed for branch in branches):
        raise NotExact("transposed convolutions are not stacked")
    geometry = common_geometry(branches, stacked=True)
    return replace(
        branches[0],
        weight=torch.cat([aligned(branch, geometry) for branch in branches]),
        bias=torch.cat([branch.bias for branch in branches]),
        padding=geometry.padding,
        dilation=geometry.dilation,
        groups=1,
        mode=common_mode(branches),
        learned=True,
    )


def composed_geometry(first: Convolution, second: Convolution) -> Geometry:
    """Geometry of ``second`` after ``first``; raises NotExact where a border would differ."""
    if first.rank != second.rank or first.out_channels != second.in_channels:
        raise NotExact("the convolutions act on different axes or channels")
    _check_border(first, second)
    groups = math.gcd(first.groups, second.groups)
    if first.transposed or second.transposed:
        shaped = first if first.transposed else second
        return Geometry(shaped.kernel, shaped.padding, shaped.dilation, groups)
    kernel, padding, dilation = [], [], []
    for axis in range(first.rank):
        inner = first.dilation[axis] * (first.kernel[axis] - 1)
        outer = first.stride[axis] * second.dilation[axis] * (second.kernel[axis] - 1)
        steps = [first.dilation[axis]] * (first.kernel[axis] > 1)
        steps += [first.stride[axis] * second.dilation[axis]] * (second.kernel[axis] > 1)
        step = gcd_or_one(*steps)
        kernel.append((inner + outer) // step + 1)
        dilation.append(step)
        sides = zip(first.padding[axis], second.padding[axis], strict=True)
        low, high = (one + first.stride[axis] * two for one, two in sides)
        padding.append((low, high))
    return Geometry(tuple(kernel), tuple(padding), tuple(dilation), groups)


def _check_border(first: Convolution, second: Convolution) -> None:
    if first.transposed and not second.is_pointwise:
        raise NotExact("only a pointwise operator composes after a transposed convolution")
    biased = bool((first.bias != 0).any())
    if second.transposed:
        if not first.is_pointwise or first.transposed:
            raise NotExact("only a pointwise operator composes before a transposed convolution")
        if biased and not second.is_pointwise:
            raise NotExact("a bias before a transposed convolution is not constant at the border")
        return
    if not second.is_padded:
        return
    if any(amount < 0 for pair in second.padding for amount in pair):
        raise NotExact("the second convolution crops its input")
    if second.mode != "zeros":
        if not first.is_pointwise:
            raise NotExact(f"{second.mode} padding lies between the two convolutions")
        return
    if biased:
        raise NotExact("zero padding between the two convolutions does not pad with the first bias")
    if first.is_padded and first.mode != "zeros":
        raise NotExact("zero padding follows a convolution that pads otherwise")
    for axis in range(first.rank):
        reach = first.dilation[axis] * (first.kernel[axis] - 1)
        if any(second.padding[axis]) and min(first.padding[axis]) < reach:
            raise NotExact("zero padding between the two convolutions cuts the first one's border")


def compose(first: Convolution, second: Convolution) -> Convolution:
    """``second`` after ``first`` as one convolution (transform III, for any geometry)."""
    geometry = composed_geometry(first, second)
    groups = geometry.groups
    one, two = regroup(first, groups), regroup(second, groups)
    inner = one.weight.reshape(groups, -1, *one.weight.shape[1:])
    outer = two.weight.reshape(groups, -1, *two.weight.shape[1:])
    weight = inner.new_zeros(groups, outer.shape[1], inner.shape[2], *geometry.kernel)
    spread, jump = _tap_steps(first, second, geometry)
    every: list[Any] = [slice(None)] * 3
    for tap in itertools.product(*(range(size) for size in second.kernel)):
        window = [
            slice(hop * index, hop * index + step * (size - 1) + 1, step)
            for index, hop, step, size in zip(tap, jump, spread, first.kernel, strict=True)
        ]
        taps = outer[(*every, *tap)]
        weight[(*every, *window)] += torch.einsum("gom,gmc...->goc...", taps, inner)
    taps = two.weight.reshape(*two.weight.shape[:2], -1).sum(2)
    summed = taps.reshape(groups, -1, two.weight.shape[1])
    bias = torch.einsum("gom,gm->go", summed, one.bias.reshape(groups, -1)).flatten()
    shaped = first if first.transposed else second
    stride = tuple(a * b for a, b in zip(first.stride, second.stride, strict=True))
    return replace(
        shaped,
        weight=weight.reshape(-1, inner.shape[2], *geometry.kernel),
        bias=bias + second.bias,
        stride=stride,
        padding=geometry.padding,
        dilation=geometry.dilation,
        groups=groups,
        mode=common_mode([first, second]),
        learned=True,
    )


def _tap_steps(
    first: Convolution, second: Convolution, geometry: Geometry
) -> tuple[list[int], list[int]]:
    """Distances, in taps of the result, between neighbouring taps of the two kernels."""
    spread, jump = [], []
    for axis, step in enumerate(geometry.dilation):
        spread.append(max(first.dilation[axis] // step, 1) if first.kernel[axis] > 1 else 1)
        if first.transposed or second.transposed:
            jump.append(1)
        else:
            reach = first.stride[axis] * second.dilation[axis]
            jump.append(reach // step if second.kernel[axis] > 1 else 1)
    return spread, jump


def input_slice(convolution: Convolution, start: int, stop: int) -> Convolution:
    """The part of an ungrouped convolution that reads channels ``start`` to ``stop``; no bias.

    Raises:
        NotExact: It is grouped.
    """
    if convolution.groups != 1:
        raise NotExact("a grouped convolution after a concatenation is not split")
    return replace(
        convolution,
        weight=convolution.weight[:, start:stop],
        bias=torch.zeros_like(convolution.bias),
    )
