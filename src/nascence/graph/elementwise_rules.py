"""Rules for element-wise functions of one and of two tensors."""

from typing import Any

import torch
from torch import Tensor

from nascence.graph import shapes
from nascence.graph.general_rules import IN_PLACE, Args, Kwargs, anything, function_name, write
from nascence.graph.recorder import Recorder, Rule, tensors_of


def unary(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Element-wise functions of one tensor: same shape, same lineage."""
    x = args[0] if args else kwargs["input"]
    lineage = recorder.lineage.get(id(x))
    if lineage is None:
        return anything(recorder, func, args, kwargs)
    return recorder.emit(x.shape, x.dtype, lineage)


def _meets_parameter(
    recorder: Recorder, kind: str, lineage: tuple[int, ...], other: Tensor
) -> tuple[int, ...]:
    """The node of an element-wise operation between an activation and parameters."""
    follow = recorder.follow[id(other)]
    wide = sum(size > 1 for size in other.shape) > 1
    if kind == "add":
        if follow.looked_up:
            op, role = "rel_pos", "table"
        else:
            op, role = ("pos_enc", "position") if wide else ("bias", "bias")
    else:
        op, role = "layer_scale", "scale"
    node = recorder.node(op, lineage, recorder.owned(other, role))
    for source in lineage:
        if source in recorder.attention:
            recorder.attention[node] = recorder.attention[source]
    return (node,)


def _two_activations(
    recorder: Recorder, kind: str, x: Tensor, y: Tensor, lineage: tuple[int, ...]
) -> tuple[int, ...]:
    """The node of an element-wise operation between two activations, if it is one."""
    if recorder.sources(x) == recorder.sources(y) or len(lineage) < 2 or kind == "other":
        return lineage
    if kind == "add":
        op = "sum"
    else:
        # a gate for whole channels, which a map of one position has too
        point = x.dim() == 4 and x.shape[2:] == (1, 1)
        op = "gate" if x.shape == y.shape and not point else "cse"
    node = recorder.node(op, lineage)
    for source in lineage:
        if source in recorder.attention:
            recorder.attention[node] = recorder.attention[source]
    return (node,)


def binary(kind: str) -> Rule:
    """Element-wise functions of two tensors; ``kind`` is ``add``, ``mul`` or ``other``."""

    def rule(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
        operands = tensors_of((*args[:2], *kwargs.values()))
        if len(operands) < 2:
            return unary(recorder, func, args, kwargs)
        x, y = operands[:2]
        lineage = recorder.union((x, y))
        if not lineage:
            return anything(recorder, func, args, kwargs)
        if recorder.sources(x) and recorder.sources(y):
            result = _two_activations(recorder, kind, x, y, lineage)
        else:
            other = y if recorder.sources(x) else x
            result = lineage
            if id(other) in recorder.follow:
                result = _meets_parameter(recorder, kind, lineage, other)
        dtype = x.dtype if x.dtype == y.dtype else torch.result_type(*recorder.shapeless((x, y)))
        if function_name(func) in IN_PLACE:
            return write(recorder, args[0], result)
        return recorder.emit(shapes.broadcast(x.shape, y.shape), dtype, result)

    return rule
