"""Linear operators of ONNX's layers and of its arithmetic with constants."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nascence.folding.site import Reader, Site, ones, per_channel
from nascence.reparam.arguments import NotFoldable, convolution_of, normalisation
from nascence.reparam.operators import (
    ChannelAffine,
    OpaqueConvolution,
    Operator,
    Sum,
    added,
)

Pairs = tuple[tuple[int, int], ...]


def pairs_of(site: Site, rank: int) -> Pairs | None:
    """(low, high) per spatial axis from ``pads``, which names all low ones first."""
    pads = site.attribute("pads") or [0] * (2 * rank)
    return tuple((int(pads[i]), int(pads[i + rank])) for i in range(rank))


def window_padding(
    site: Site, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> Pairs | None:
    """The padding of a convolution or pooling, None where it depends on the size of the input."""
    mode = site.attribute("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return pairs_of(site, len(kernel))
    if mode == "VALID":
        return ((0, 0),) * len(kernel)
    dims = site.value(0).dims
    sizes: tuple[Any, ...] = (None,) * len(kernel) if dims is None else tuple(dims[2:])
    pairs = []
    for size, taps, step, spread in zip(sizes, kernel, stride, dilation, strict=True):
        reach = spread * (taps - 1) + 1
        if step == 1:
            total = reach - 1
        elif isinstance(size, int):
            total = max((-(-size // step) - 1) * step + reach - size, 0)
        else:
            return None
        low = total // 2 if mode == "SAME_UPPER" else total - total // 2
        pairs.append((low, total - low))
    return tuple(pairs)


def _read_convolution(site: Site) -> Operator | None:
    if site.data != [0]:
        site.tensor(1)  # says why
        return None
    weight, bias = site.tensor(1), site.tensor(2)
    assert weight is not None
    rank = weight.dim() - 2
    stride = tuple(site.attribute("strides", [1] * rank))
    dilation = tuple(site.attribute("dilations", [1] * rank))
    padding = window_padding(site, tuple(weight.shape[2:]), stride, dilation)
    found = convolution_of(
        weight, bias, stride=stride, dilation=dilation, groups=site.attribute("group", 1)
    )
    if padding is None:
        return OpaqueConvolution(found.weight, found.bias, site.proto)
    return replace(found, padding=padding)


def _read_transposed(site: Site) -> Operator | None:
    if site.data != [0]:
        site.tensor(1)
        return None
    weight, bias = site.tensor(1), site.tensor(2)
    assert weight is not None
    rank = weight.dim() - 2
    found = convolution_of(
        weight,
        bias,
        stride=tuple(site.attribute("strides", [1] * rank)),
        dilation=tuple(site.attribute("dilations", [1] * rank)),
        groups=site.attribute("group", 1),
        output_padding=tuple(site.attribute("output_padding", [0] * rank)),
    )
    mode = site.attribute("auto_pad", "NOTSET")
    if site.attribute("output_shape") is not None or mode not in ("NOTSET", "VALID"):
        return OpaqueConvolution(found.weight, found.bias, site.proto)
    pairs = pairs_of(site, rank) if mode == "NOTSET" else ((0, 0),) * rank
    assert pairs is not None
    return replace(found, padding=pairs)


def _read_gemm(site: Site) -> Operator | None:
    if site.data != [0] or site.attribute("transA", 0):
        return None
    weight, bias = site.tensor(1), site.tensor(2)
    assert weight is not None
    weight = weight if site.attribute("transB", 0) else weight.T
    weight = weight * site.attribute("alpha", 1.0)
    if bias is not None:
        if bias.numel() not in (1, len(weight)) or bias.dim() > 2 or bias.shape[:-1].numel() != 1:
            return None
        bias = (bias.flatten() * site.attribute("beta", 1.0)).expand(len(weight))
    return convolution_of(weight, bias)


def _read_product_of_matrices(site: Site) -> Operator | None:
    if site.data != [0]:
        return None
    weight = site.tensor(1)
    rank = site.rank
    if weight is None or weight.dim() != 2 or rank is None or rank < 2:
        return None
    return convolution_of(weight.T, None)


def _read_normalisation(site: Site) -> Operator | None:
    if site.attribute("training_mode", 0) or len([name for name in site.proto.output if name]) > 1:
        raise NotFoldable(
            "it normalises with the statistics of the batch: the network was exported in training "
            "mode; export it in evaluation mode"
        )
    scale, shift, mean, variance = (site.tensor(index) for index in (1, 2, 3, 4))
    if site.data != [0]:
        return None
    if site.rank is None:
        raise NotFoldable("the number of axes of its input is unknown")
    eps = site.attribute("epsilon", 1e-5)
    return normalisation(mean, variance, scale, shift, eps, site.rank - 2)


def _read_addition(site: Site, sign: int = 1) -> Operator | None:
    if site.data == [0, 1]:
        return Sum((1, sign))
    found = constant_beside(site)
    if found is None:
        return None
    vector, rank = found
    if site.data == [0]:
        return ChannelAffine(torch.ones_like(vector), sign * vector, rank)
    return ChannelAffine(torch.full_like(vector, float(sign)), vector, rank)


def constant_beside(site: Site) -> tuple[Tensor, int | None] | None:
    """The constant operand of a binary operator as values ``(C,)`` or ``(1,)`` and their rank."""
    if len(site.data) != 1 or len(site.proto.input) != 2:
        return None
    array = site.array(1 - site.data[0])
    return None if array is None else per_channel(array, site.value(site.data[0]))


def _read_subtraction(site: Site) -> Operator | None:
    return _read_addition(site, -1)


def _read_sum(site: Site) -> Operator | None:
    count = len(site.proto.input)
    if site.data != list(range(count)):
        return _read_addition(site) if count == 2 else None
    return Sum((1,) * count) if count > 1 else _read_nothing(site)


def _read_product(site: Site, *, divide: bool = False) -> Operator | None:
    found = None if divide and site.data != [0] else constant_beside(site)
    if found is None:
        return None
    vector, rank = found
    vector = 1.0 / vector if divide else vector
    if not bool(torch.isfinite(vector).all()):
        return None
    return ChannelAffine(vector, torch.zeros_like(vector), rank)


def _read_quotient(site: Site) -> Operator | None:
    return _read_product(site, divide=True)


def _read_negation(site: Site) -> Operator | None:
    return ChannelAffine(-ones(), torch.zeros_like(ones()))


def _read_nothing(site: Site) -> Operator | None:
    return ChannelAffine(ones(), torch.zeros_like(ones()))


def _read_dropout(site: Site) -> Operator | None:
    if site.is_given(2):
        trains = site.array(2)
        if trains is None or bool(trains.any()):
            raise NotFoldable("it drops values: the network was exported in training mode")
    return _read_nothing(site)


LAYERS: dict[str, Reader] = {
    "Conv": _read_convolution,
    "ConvTranspose": _read_transposed,
    "Gemm": _read_gemm,
    "MatMul": _read_product_of_matrices,
    "BatchNormalization": _read_normalisation,
    "Add": _read_addition,
    "Sub": _read_subtraction,
    "Sum": _read_sum,
    "Mul": _read_product,
    "Div": _read_quotient,
    "Neg": _read_negation,
    "Identity": _read_nothing,
    "Dropout": _read_dropout,
}


def scaled_and_shifted(first: ChannelAffine, second: ChannelAffine) -> ChannelAffine | None:
    """A product and a sum with constants along one axis as one map, None where they are not."""
    if first.channels > 1 and second.channels > 1 and first.rank != second.rank:
        return None
    rank = first.rank if first.channels > 1 else second.rank
    return ChannelAffine(
        first.scale * second.scale, added(first.shift * second.scale, second.shift), rank
    )
