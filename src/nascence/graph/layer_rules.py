"""Rules for layers: convolutions, normalisation, pooling, look-ups, recurrence, joining."""

from typing import Any

import torch
from torch import Tensor

from nascence.graph import shapes
from nascence.graph.general_rules import (
    Args,
    Kwargs,
    anything,
    argument,
    as_tuple,
    function_name,
)
from nascence.graph.recorder import Follow, Recorder, Rule, tensors_of


def convolution(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``conv1d`` to ``conv3d``: depthwise or grouped ones are separable, or dilated."""
    x, weight = args[0], argument(args, kwargs, 1, "weight")
    settings = [
        argument(args, kwargs, 3, "stride", 1),
        argument(args, kwargs, 4, "padding", 0),
        argument(args, kwargs, 5, "dilation", 1),
        argument(args, kwargs, 6, "groups", 1),
    ]
    shape = shapes.convolution(x.shape, weight.shape, *settings)
    groups, dilation = settings[3], settings[2]
    op = "conv"
    if groups > 1:
        op = "dil_conv" if dilation != 1 and max(as_tuple(dilation)) > 1 else "sep_conv"
    macs = shapes.numel(shape) * shapes.numel(weight.shape[1:])
    bias = argument(args, kwargs, 2, "bias")
    return _weighted(recorder, op, x, weight, bias, shape, macs)


def transposed_convolution(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``conv_transpose1d`` to ``conv_transpose3d``, weight ``(in, out / groups, ...)``."""
    x, weight = args[0], argument(args, kwargs, 1, "weight")
    shape = func(*recorder.shapeless(args), **recorder.shapeless(kwargs)).shape
    macs = shapes.numel(x.shape) * shapes.numel(weight.shape[1:])
    bias = argument(args, kwargs, 2, "bias")
    role = "weight_transposed"
    return _weighted(recorder, "conv_transpose", x, weight, bias, shape, macs, role)


def linear(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``x W^T + b``; the paper counts it as a 1x1 convolution."""
    x, weight = args[0], argument(args, kwargs, 1, "weight")
    shape = shapes.linear(x.shape, weight.shape)
    macs = shapes.numel(shape) * weight.shape[-1]
    return _weighted(recorder, "conv", x, weight, argument(args, kwargs, 2, "bias"), shape, macs)


def _weighted(
    recorder: Recorder,
    op: str,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    shape: tuple[int, ...],
    macs: int,
    role: str = "weight",
) -> Tensor:
    """A node for the weight and one for the bias, as in the paper."""
    lineage = recorder.activation(x)
    made = recorder.sources(weight)  # a weight that is itself an activation
    inputs = (*lineage, *made) if made else lineage
    result: tuple[int, ...] = (recorder.node(op, inputs, recorder.owned(weight, role), macs),)
    if bias is not None:
        parameters = recorder.owned(bias, "bias")
        if parameters:
            result = (recorder.node("bias", result, parameters),)
        else:
            result = tuple(dict.fromkeys((*result, *recorder.sources(bias))))
    return recorder.emit(shape, x.dtype, result)


def normalization(op: str, weight_at: int, bias_at: int) -> Rule:
    """A normalisation layer: scale and shift belong to one node, as in the paper."""

    def rule(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
        x = args[0] if args else kwargs["input"]
        weight = argument(args, kwargs, weight_at, "weight") if weight_at else None
        bias = argument(args, kwargs, bias_at, "bias") if bias_at else None
        if id(x) in recorder.follow and op in ("bn", "instance_norm"):
            # a standardised weight: it stays what it was, with its gain
            known = [t for t in (x, weight, bias) if t is not None]
            out = _empty_like(x)
            recorder.mark(out, (), recorder.followed(known))
            return out
        lineage = recorder.activation(x)
        parameters = (*recorder.owned(weight, "norm_weight"), *recorder.owned(bias, "norm_bias"))
        modulation = recorder.union(t for t in (weight, bias) if t is not None)
        if not lineage and not parameters:
            return anything(recorder, func, args, kwargs)
        if parameters:
            lineage = (recorder.node(op, (*lineage, *modulation), parameters),)
        return recorder.emit(x.shape, x.dtype, lineage)

    return rule


def _empty_like(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device="meta")


def pooling(op: str, axes: int) -> Rule:
    """Max or average pooling over windows."""

    def rule(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
        x = args[0]
        if not recorder.sources(x):
            return anything(recorder, func, args, kwargs)
        dilation = 1
        ceil_at = 4
        if op == "max_pool":
            dilation, ceil_at = argument(args, kwargs, 4, "dilation", 1), 5
        shape = shapes.pooling(
            x.shape,
            argument(args, kwargs, 1, "kernel_size"),
            argument(args, kwargs, 2, "stride"),
            argument(args, kwargs, 3, "padding", 0),
            dilation,
            bool(argument(args, kwargs, ceil_at, "ceil_mode", False)),
            axes,
        )
        out = recorder.emit(shape, x.dtype, (recorder.node(op, recorder.sources(x)),))
        if kwargs.get("return_indices") or function_name(func).endswith("with_indices"):
            return out, recorder.emit(shape, torch.int64, recorder.sources(out))
        return out

    return rule


def adaptive_pooling(op: str, axes: int) -> Rule:
    """Adaptive pooling; to a single position it is global."""

    def rule(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
        x = args[0]
        if not recorder.sources(x):
            return anything(recorder, func, args, kwargs)
        shape = shapes.adaptive(x.shape, argument(args, kwargs, 1, "output_size"), axes)
        kind = "glob_avg" if op == "avg_pool" and set(shape[-axes:]) == {1} else op
        return recorder.emit(shape, x.dtype, (recorder.node(kind, recorder.sources(x)),))

    return rule


def reduction(op: str) -> Rule:
    """Means, sums and maxima over axes; a mean over all positions is global pooling."""

    def rule(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
        x = args[0]
        lineage = recorder.sources(x)
        axes = argument(args, kwargs, 1, "dim", ())
        if not lineage or isinstance(axes, Tensor) or (op == "max" and axes != ()):
            return anything(recorder, func, args, kwargs)
        axes = () if axes is None else as_tuple(axes)
        shape = shapes.reduction(x.shape, axes, argument(args, kwargs, 2, "keepdim", False))
        if op == "mean":
            positions = {axis % x.dim() for axis in axes} or set(range(x.dim()))
            everything = {1} if x.dim() == 3 else {x.dim() - 2, x.dim() - 1}
            channels_last = {1, 2} if x.dim() == 4 else everything
            if positions in (everything, channels_last) and x.dim() > 2:
                lineage = (recorder.node("glob_avg", lineage),)
        dtype = kwargs.get("dtype") or x.dtype
        return recorder.emit(shape, dtype, lineage)

    return rule


def concatenation(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``cat`` and ``stack``; parameters among activations are learned tokens."""
    values = tensors_of((args[0] if args else kwargs.get("tensors"),))
    if not any(recorder.sources(value) for value in values):
        return anything(recorder, func, args, kwargs)
    rows = [lineage for value in values if (lineage := recorder.activation(value))]
    lineage = tuple(dict.fromkeys(node for row in rows for node in row))
    if len(set(rows)) > 1:
        lineage = (recorder.node("concat", lineage),)
    axis = argument(args, kwargs, 1, "dim", 0)
    if function_name(func) == "stack":
        shape = list(values[0].shape)
        shape.insert(axis % (len(shape) + 1), len(values))
    else:
        kept = [value.shape for value in values if tuple(value.shape) != (0,)]
        shape = list(shapes.concatenation(kept, axis))
    return recorder.emit(shape, values[0].dtype, lineage)


def lookup(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``embedding``: rows of a parameter, chosen by the input or by a constant."""
    index, weight = args[0], argument(args, kwargs, 1, "weight")
    shape = (*index.shape, weight.shape[-1])
    if recorder.sources(index) and id(weight) in recorder.follow:
        node = recorder.node(
            "embedding", recorder.sources(index), recorder.owned(weight, "embedding")
        )
        return recorder.emit(shape, weight.dtype, (node,))
    out = recorder.emit(shape, weight.dtype, recorder.union((index, weight)))
    follow = recorder.follow.get(id(weight))
    if follow is not None:
        recorder.follow[id(out)] = Follow(follow.parameters, looked_up=True)
    return out


def recurrent(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``lstm``, ``gru`` and ``rnn``: all weights of all layers belong to one node."""
    known = tensors_of((*args, *kwargs.values()))
    owned = {
        item
        for value in known
        if id(value) in recorder.follow
        for item in recorder.owned(value, "bias" if value.dim() == 1 else "weight")
    }
    lineage = recorder.union(known)
    weights = [value for value in known if id(value) in recorder.follow and value.dim() > 1]
    steps = shapes.numel(args[0].shape[:-1])
    macs = steps * sum(value.numel() for value in weights)
    node = recorder.node("recurrent", lineage, sorted(owned), macs)
    outs = func(*recorder.shapeless(args), **recorder.shapeless(kwargs))
    recorder.mark(outs, (node,), None)
    return outs
