"""Rules that make no node of their own: views, casts, constants, and whatever has no rule."""

from typing import Any

import torch
from torch import Tensor

from nascence.graph.recorder import Follow, Recorder, tensors_of
from nascence.graph.structure import GraphError

Args = tuple[Any, ...]
Kwargs = dict[str, Any]

# functions that write into their first argument
_IN_PLACE_TEXT = """
    add_ __iadd__ sub_ __isub__ mul_ __imul__ div_ __itruediv__ __idiv__ addcmul_ masked_fill_
    squeeze_ unsqueeze_ t_ transpose_
"""
IN_PLACE = frozenset(_IN_PLACE_TEXT.split())

CASTS = {
    "float": torch.float32,
    "double": torch.float64,
    "half": torch.float16,
    "bfloat16": torch.bfloat16,
    "long": torch.int64,
    "int": torch.int32,
    "bool": torch.bool,
}


def argument(args: Args, kwargs: Kwargs, position: int, name: str, default: Any = None) -> Any:
    """The argument at ``position`` or of that name, or ``default``."""
    return args[position] if len(args) > position else kwargs.get(name, default)


def plain(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Queries of shape and type, answered by the tensor itself."""
    return func(*args, **kwargs)


def device(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Activations report the parameters' device, so that constants are created there."""
    here = func(*args)
    return recorder.device if here.type == "meta" else here


def reading(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Reads a value, which only constants have.

    Raises:
        GraphError: The value is of an activation.
    """
    known = tensors_of(args)
    if any(tensor.device.type == "meta" or id(tensor) in recorder.lineage for tensor in known):
        raise GraphError(
            f"reads the value of an activation ({function_name(func)}): data-dependent control "
            "flow has no single graph; trace the branch that you want as a module of its own"
        )
    return func(*args, **kwargs)


def cast(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Changes of device and type; those of device are ignored."""
    x = args[0]
    lineage = recorder.lineage.get(id(x))
    if lineage is None and id(x) not in recorder.follow:
        return func(*args, **kwargs)
    named = CASTS.get(function_name(func))
    for value in (*args[1:], *kwargs.values()):
        if isinstance(value, torch.dtype):
            named = value
        elif isinstance(value, Tensor):
            named = value.dtype
    out = recorder.emit(x.shape, named or x.dtype, lineage or ())
    if lineage is None:
        recorder.follow[id(out)] = recorder.follow[id(x)]
    return out


def write(recorder: Recorder, target: Tensor, lineage: tuple[int, ...]) -> Tensor:
    """Record that ``target`` (any shape) comes from ``lineage``; its base, if a view, from both."""
    root = target._base
    if root is not None:
        recorder.mark(root, tuple(dict.fromkeys((*recorder.sources(root), *lineage))), None)
    recorder.mark(target, lineage, None)
    return target


def assignment(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``target[index] = value``, ``copy_`` and the like: the target comes from both."""
    known = tensors_of((*args, *kwargs.values()))
    lineage = recorder.union(known)
    follow = recorder.followed(known)
    if not lineage and follow is None:
        return func(*args, **kwargs)
    if lineage:
        write(recorder, args[0], lineage)
    else:
        recorder.mark(args[0], (), follow)
    return args[0]


def indexing(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``tensor[index]``: rows of a parameter chosen by a tensor are a table."""
    out = anything(recorder, func, args, kwargs)
    follow = recorder.follow.get(id(args[0]))
    if follow is not None and isinstance(out, Tensor) and tensors_of(args[1:]):
        recorder.follow[id(out)] = Follow(follow.parameters, looked_up=True)
    return out


def flip(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Transpositions, which matter for which axis of a parameter is the output."""
    out = anything(recorder, func, args, kwargs)
    follow = recorder.follow.get(id(args[0]))
    if follow is not None:
        recorder.follow[id(out)] = Follow(
            follow.parameters, follow.looked_up, not follow.transposed
        )
    return out


def view(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``view`` of an activation: strides are not followed, so it is a reshape."""
    if recorder.sources(args[0]) and not isinstance(args[1], torch.dtype) and not kwargs:
        size = args[1] if isinstance(args[1], (tuple, list)) else args[1:]
        out = torch.reshape(recorder.shapeless(args[0]), tuple(size))
        recorder.mark(out, recorder.sources(args[0]), None)
        return out
    return anything(recorder, func, args, kwargs)


def constant_like(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """New constants with the shape or type of a tensor: they are computed, and have no lineage."""
    if args[0].device.type != "meta":
        return func(*args, **kwargs)
    kwargs = {**kwargs, "device": recorder.device}
    return func(*args, **kwargs)


def anything(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """A function without a rule is run for its shape; parameters join where they meet."""
    known = tensors_of((*args, *kwargs.values()))
    lineage = recorder.union(known)
    follow = recorder.followed(known)
    if not lineage and follow is None and not any(t.device.type == "meta" for t in known):
        return func(*args, **kwargs)
    out = func(*recorder.shapeless(args), **recorder.shapeless(kwargs))
    if lineage and follow is not None:
        for value in known:
            if id(value) in recorder.follow and not recorder.sources(value):
                wide = sum(size > 1 for size in value.shape) > 1
                op, role = ("conv", "weight") if wide else ("layer_scale", "scale")
                lineage = (recorder.node(op, lineage, recorder.owned(value, role)),)
        follow = None
    if isinstance(out, Tensor) and args and out is recorder.shapeless(args[0]):
        return args[0] if function_name(func) not in IN_PLACE else write(recorder, args[0], lineage)
    recorder.mark(out, lineage, follow)
    return out


def as_tuple(value: Any) -> tuple[int, ...]:
    """A number or a sequence of numbers as a tuple."""
    return (value,) if isinstance(value, int) else tuple(value)


def function_name(func: Any) -> str:
    """The name that rules are found by; of a property, what is read or set."""
    name: str = getattr(func, "__name__", "")
    if name in ("__get__", "__set__"):
        return str(getattr(func.__self__, "__name__", name))
    return name
