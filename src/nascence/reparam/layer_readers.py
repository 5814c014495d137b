"""Operators of torch's own layers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from nascence.reparam.arguments import (
    NotFoldable,
    convolution_of,
    normalisation,
    padding_of_list,
    per_axis,
    shape_of,
)
from nascence.reparam.channel_scale import ChannelScale
from nascence.reparam.function_readers import (
    average,
    padding_operator,
    passing_axis,
    read_reshaping,
)
from nascence.reparam.operators import ChannelAffine, Operator

Reader = Callable[[Any, fx.Node], Operator | None]


def _read_convolution(layer: Any, node: fx.Node) -> Operator | None:
    return convolution_of(
        layer.weight,
        layer.bias,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        layer.padding_mode,
        layer.output_padding if layer.transposed else None,
    )


def _read_linear(layer: Any, node: fx.Node) -> Operator | None:
    return convolution_of(layer.weight, layer.bias)


def _read_normalisation(layer: Any, node: fx.Node) -> Operator | None:
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


def _read_scale(layer: Any, node: fx.Node) -> Operator | None:
    scale = layer.scale.detach().to(torch.float64).flatten()
    return ChannelAffine(scale, layer.shift.detach().to(torch.float64).flatten(), layer.rank)


def _read_nothing(layer: Any, node: fx.Node) -> Operator | None:
    one = torch.ones(1, dtype=torch.float64)
    return ChannelAffine(one, torch.zeros_like(one))


def _average_reader(rank: int) -> Reader:
    def read_average(layer: Any, node: fx.Node) -> Operator | None:
        return average(
            node,
            kernel=per_axis(layer.kernel_size, rank),
            stride=per_axis(layer.stride, rank),
            padding=per_axis(layer.padding, rank),
            ceil_mode=layer.ceil_mode,
            include=layer.count_include_pad,
            divisor=getattr(layer, "divisor_override", None),
        )

    return read_average


def _padding_reader(rank: int, mode: str) -> Reader:
    def read_padding(layer: Any, node: fx.Node) -> Operator | None:
        pairs = padding_of_list(list(layer.padding), rank)
        value = getattr(layer, "value", 0.0)
        return None if pairs is None else padding_operator(node, pairs, mode, value)

    return read_padding


def _read_passing(layer: Any, node: fx.Node) -> Operator | None:
    return passing_axis(node)


def _read_flattening(layer: Any, node: fx.Node) -> Operator | None:
    return read_reshaping(node)


LAYERS: dict[type[nn.Module], Reader] = {
    ChannelScale: _read_scale,
    nn.Conv1d: _read_convolution,
    nn.Conv2d: _read_convolution,
    nn.Conv3d: _read_convolution,
    nn.ConvTranspose1d: _read_convolution,
    nn.ConvTranspose2d: _read_convolution,
    nn.ConvTranspose3d: _read_convolution,
    nn.Linear: _read_linear,
    nn.BatchNorm1d: _read_normalisation,
    nn.BatchNorm2d: _read_normalisation,
    nn.BatchNorm3d: _read_normalisation,
    nn.SyncBatchNorm: _read_normalisation,
    nn.Identity: _read_nothing,
    nn.Dropout: _read_nothing,
    nn.Dropout1d: _read_nothing,
    nn.Dropout2d: _read_nothing,
    nn.Dropout3d: _read_nothing,
    nn.AvgPool1d: _average_reader(1),
    nn.AvgPool2d: _average_reader(2),
    nn.AvgPool3d: _average_reader(3),
    nn.ConstantPad1d: _padding_reader(1, "constant"),
    nn.ConstantPad2d: _padding_reader(2, "constant"),
    nn.ConstantPad3d: _padding_reader(3, "constant"),
    nn.ReflectionPad1d: _padding_reader(1, "reflect"),
    nn.ReflectionPad2d: _padding_reader(2, "reflect"),
    nn.ReflectionPad3d: _padding_reader(3, "reflect"),
    nn.ReplicationPad1d: _padding_reader(1, "replicate"),
    nn.ReplicationPad2d: _padding_reader(2, "replicate"),
    nn.ReplicationPad3d: _padding_reader(3, "replicate"),
    nn.CircularPad1d: _padding_reader(1, "circular"),
    nn.CircularPad2d: _padding_reader(2, "circular"),
    nn.CircularPad3d: _padding_reader(3, "circular"),
    nn.AdaptiveAvgPool1d: _read_passing,
    nn.AdaptiveAvgPool2d: _read_passing,
    nn.AdaptiveAvgPool3d: _read_passing,
    nn.Upsample: _read_passing,
    nn.Flatten: _read_flattening,
}
