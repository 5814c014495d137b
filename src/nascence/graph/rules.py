"""What each function of torch means for the graph.

A rule gets the recorder, the function and its arguments, and returns the result: a tensor of
the right shape with its lineage set. Functions without a rule of their own run on the meta
device through :func:`anything`.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nascence.graph import shapes
from nascence.graph.attention_rules import ATTENTION_RULES
from nascence.graph.recorder import Follow, Recorder, Rule, tensors_of
from nascence.graph.structure import GraphError

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def _argument(args: Args, kwargs: Kwargs, position: int, name: str, default: Any = None) -> Any:
    return args[position] if len(args) > position else kwargs.get(name, default)


def plain(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Questions about shape and type: asked of the tensor itself."""
    return func(*args, **kwargs)


def device(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Activations claim to be where the parameters are, so that constants are made there."""
    here = func(*args)
    return recorder.device if here.type == "meta" else here


def reading(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Reading a value: only constants have one."""
    known = tensors_of(args)
    if any(tensor.device.type == "meta" or id(tensor) in recorder.lineage for tensor in known):
        raise GraphError(
            f"reads the value of an activation ({_name(func)}): data-dependent control flow "
            "has no single graph; trace the branch that you want as a module of its own"
        )
    return func(*args, **kwargs)


def unary(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Element-wise functions of one tensor: same shape, same lineage."""
    x = args[0] if args else kwargs["input"]
    lineage = recorder.lineage.get(id(x))
    if lineage is None:
        return anything(recorder, func, args, kwargs)
    return recorder.emit(x.shape, x.dtype, lineage)


def cast(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """Moves and type changes; moves are ignored."""
    x = args[0]
    lineage = recorder.lineage.get(id(x))
    if lineage is None and id(x) not in recorder.follow:
        return func(*args, **kwargs)
    named = _CASTS.get(_name(func))
    for value in (*args[1:], *kwargs.values()):
        if isinstance(value, torch.dtype):
            named = value
        elif isinstance(value, Tensor):
            named = value.dtype
    out = recorder.emit(x.shape, named or x.dtype, lineage or ())
    if lineage is None:
        recorder.follow[id(out)] = recorder.follow[id(x)]
    return out


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
        if _name(func) in _IN_PLACE:
            return _write(recorder, args[0], result)
        return recorder.emit(shapes.broadcast(x.shape, y.shape), dtype, result)

    return rule


def _write(recorder: Recorder, target: Tensor, lineage: tuple[int, ...]) -> Tensor:
    """Record that ``target`` now comes from ``lineage``; what it is a view of, from both."""
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
        _write(recorder, args[0], lineage)
    else:
        recorder.mark(args[0], (), follow)
    return args[0]


def convolution(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``conv1d`` to ``conv3d``: depthwise or grouped ones are separable, or dilated."""
    x, weight = args[0], _argument(args, kwargs, 1, "weight")
    settings = [
        _argument(args, kwargs, 3, "stride", 1),
        _argument(args, kwargs, 4, "padding", 0),
        _argument(args, kwargs, 5, "dilation", 1),
        _argument(args, kwargs, 6, "groups", 1),
    ]
    shape = shapes.convolution(x.shape, weight.shape, *settings)
    groups, dilation = settings[3], settings[2]
    op = "conv"
    if groups > 1:
        op = "dil_conv" if dilation != 1 and max(_tuple(dilation)) > 1 else "sep_conv"
    macs = shapes.numel(shape) * shapes.numel(weight.shape[1:])
    bias = _argument(args, kwargs, 2, "bias")
    return _weighted(recorder, op, x, weight, bias, shape, macs)


def transposed_convolution(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``conv_transpose1d`` to ``conv_transpose3d``, weight ``(in, out / groups, ...)``."""
    x, weight = args[0], _argument(args, kwargs, 1, "weight")
    shape = func(*recorder.shapeless(args), **recorder.shapeless(kwargs)).shape
    macs = shapes.numel(x.shape) * shapes.numel(weight.shape[1:])
    bias = _argument(args, kwargs, 2, "bias")
    role = "weight_transposed"
    return _weighted(recorder, "conv_transpose", x, weight, bias, shape, macs, role)


def linear(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``x W^T + b``; the paper counts it as a 1x1 convolution."""
    x, weight = args[0], _argument(args, kwargs, 1, "weight")
    shape = shapes.linear(x.shape, weight.shape)
    macs = shapes.numel(shape) * weight.shape[-1]
    return _weighted(
        recorder, "conv", x, weight, _argument(args, kwargs, 2, "bias"), shape, macs
    )


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
    result = (recorder.node(op, inputs, recorder.owned(weight, role), macs),)
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
        weight = _argument(args, kwargs, weight_at, "weight") if weight_at else None
        bias = _argument(args, kwargs, bias_at, "bias") if bias_at else None
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
            dilation, ceil_at = _argument(args, kwargs, 4, "dilation", 1), 5
        shape = shapes.pooling(
            x.shape,
            _argument(args, kwargs, 1, "kernel_size"),
            _argument(args, kwargs, 2, "stride"),
            _argument(args, kwargs, 3, "padding", 0),
            dilation,
            bool(_argument(args, kwargs, ceil_at, "ceil_mode", False)),
            axes,
        )
        out = recorder.emit(shape, x.dtype, (recorder.node(op, recorder.sources(x)),))
        if kwargs.get("return_indices") or _name(func).endswith("with_indices"):
            return out, recorder.emit(shape, torch.int64, recorder.sources(out))
        return out

    return rule


def adaptive_pooling(op: str, axes: int) -> Rule:
    """Adaptive pooling; to a single position it is global."""

    def rule(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
        x = args[0]
        if not recorder.sources(x):
            return anything(recorder, func, args, kwargs)
        shape = shapes.adaptive(x.shape, _argument(args, kwargs, 1, "output_size"), axes)
        kind = "glob_avg" if op == "avg_pool" and set(shape[-axes:]) == {1} else op
        return recorder.emit(shape, x.dtype, (recorder.node(kind, recorder.sources(x)),))

    return rule


def reduction(op: str) -> Rule:
    """Means, sums and maxima over axes; a mean over all positions is global pooling."""

    def rule(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
        x = args[0]
        lineage = recorder.sources(x)
        axes = _argument(args, kwargs, 1, "dim", ())
        if not lineage or isinstance(axes, Tensor) or (op == "max" and axes != ()):
            return anything(recorder, func, args, kwargs)
        axes = () if axes is None else _tuple(axes)
        shape = shapes.reduction(x.shape, axes, _argument(args, kwargs, 2, "keepdim", False))
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
    axis = _argument(args, kwargs, 1, "dim", 0)
    if _name(func) == "stack":
        shape = list(values[0].shape)
        shape.insert(axis % (len(shape) + 1), len(values))
    else:
        kept = [value.shape for value in values if tuple(value.shape) != (0,)]
        shape = list(shapes.concatenation(kept, axis))
    return recorder.emit(shape, values[0].dtype, lineage)


def lookup(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """``embedding``: rows of a parameter, chosen by the input or by a constant."""
    index, weight = args[0], _argument(args, kwargs, 1, "weight")
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


def constant_like(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """New constants shaped or typed like a tensor: really made, with no lineage."""
    if args[0].device.type != "meta":
        return func(*args, **kwargs)
    kwargs = {**kwargs, "device": recorder.device}
    return func(*args, **kwargs)


def anything(recorder: Recorder, func: Any, args: Args, kwargs: Kwargs) -> Any:
    """A function without a rule: run for its shape; parameters join where they meet."""
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
        return args[0] if _name(func) not in _IN_PLACE else _write(recorder, args[0], lineage)
    recorder.mark(out, lineage, follow)
    return out


def _tuple(value: Any) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


def _name(func: Any) -> str:
    name: str = getattr(func, "__name__", "")
    if name in ("__get__", "__set__"):
        return str(getattr(func.__self__, "__name__", name))
    return name


_CASTS = {
    "float": torch.float32,
    "double": torch.float64,
    "half": torch.float16,
    "bfloat16": torch.bfloat16,
    "long": torch.int64,
    "int": torch.int32,
    "bool": torch.bool,
}

_UNARY = """relu relu_ relu6 gelu silu silu_ mish hardswish hardswish_ hardsigmoid hardsigmoid_
    hardtanh hardtanh_ sigmoid sigmoid_ tanh tanh_ elu elu_ celu selu leaky_relu leaky_relu_
    softplus softsign logsigmoid softmax log_softmax softmin exp log sqrt rsqrt abs __abs__ neg
    __neg__ square clamp clamp_ clip clamp_min clamp_max dropout dropout1d dropout2d dropout3d
    alpha_dropout feature_alpha_dropout contiguous clone detach requires_grad_ normalize cumsum
    floor round sin cos erf reciprocal threshold tanhshrink""".split()
_ADD = "add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __rsub__ __isub__ rsub subtract".split()
_MUL = """mul mul_ __mul__ __rmul__ __imul__ div div_ __truediv__ __rtruediv__ __div__ __idiv__
    __itruediv__ true_divide multiply divide""".split()
_BINARY = "maximum minimum pow __pow__ __rpow__ fmod remainder atan2".split()
_IN_PLACE = {"add_", "__iadd__", "sub_", "__isub__", "mul_", "__imul__", "div_", "__itruediv__"}
_IN_PLACE |= {"__idiv__", "addcmul_", "masked_fill_", "squeeze_", "unsqueeze_", "t_", "transpose_"}
_PLAIN = """size dim numel nelement stride is_floating_point is_complex is_contiguous shape ndim
    dtype layout is_cuda is_meta is_sparse is_quantized requires_grad is_leaf names itemsize
    grad_fn is_nested ndimension element_size get_device is_mps is_xla is_cpu data_ptr __len__
    storage_offset is_set_to _version grad is_inference register_hook __hash__ __repr__
    __format__ is_same_size""".split()
_READING = """item tolist numpy __bool__ __int__ __float__ __index__ __complex__ nonzero equal
    allclose unique is_nonzero __contains__ __array__ masked_select argwhere""".split()
_CONSTANTS = """zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones
    new_empty new_full new_tensor""".split()


def _table() -> dict[str, Rule]:
    table: dict[str, Rule] = dict.fromkeys(_UNARY, unary)
    table |= dict.fromkeys(_ADD, binary("add"))
    table |= dict.fromkeys(_MUL, binary("mul"))
    table |= dict.fromkeys(_BINARY, binary("other"))
    table |= dict.fromkeys(_PLAIN, plain)
    table |= dict.fromkeys(_READING, reading)
    table |= dict.fromkeys(_CONSTANTS, constant_like)
    table |= dict.fromkeys(("to", "cpu", "cuda", "type_as", *_CASTS), cast)
    table |= dict.fromkeys(("cat", "concat", "concatenate", "stack"), concatenation)
    table |= dict.fromkeys(("__setitem__", "copy_", "index_put_", "scatter_"), assignment)
    table |= dict.fromkeys(("t", "T", "mT", "transpose", "swapaxes", "adjoint"), flip)
    table |= dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), recurrent)
    table |= dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), recurrent)
    for axes in (1, 2, 3):
        table[f"conv{axes}d"] = convolution
        table[f"conv_transpose{axes}d"] = transposed_convolution
        for name in (f"max_pool{axes}d", f"boolean_dispatch_max_pool{axes}d"):
            table[name] = pooling("max_pool", axes)
        table[f"max_pool{axes}d_with_indices"] = pooling("max_pool", axes)
        table[f"avg_pool{axes}d"] = pooling("avg_pool", axes)
        table[f"adaptive_avg_pool{axes}d"] = adaptive_pooling("avg_pool", axes)
        table[f"adaptive_max_pool{axes}d"] = adaptive_pooling("max_pool", axes)
    table |= {
        "mean": reduction("mean"),
        "sum": reduction("sum"),
        "linear": linear,
        "embedding": lookup,
        "__getitem__": indexing,
        "index_select": indexing,
        "gather": indexing,
        "view": view,
        "device": device,
        "layer_norm": normalization("ln", 2, 3),
        "group_norm": normalization("group_norm", 2, 3),
        "rms_norm": normalization("ln", 2, 0),
        "batch_norm": normalization("bn", 3, 4),
        "instance_norm": normalization("instance_norm", 3, 4),
    }
    return {**table, **ATTENTION_RULES}


_BY_NAME = _table()
_BY_FUNCTION: dict[Any, Rule] = {
    torch.batch_norm: normalization("bn", 1, 2),
    torch.instance_norm: normalization("instance_norm", 1, 2),
    torch.rms_norm: normalization("ln", 2, 0),
    F.softmax: unary,
}


def rule_of(func: Callable[..., Any]) -> Rule:
    """The rule for a function of torch, :func:`anything` if it has none of its own."""
    return _BY_FUNCTION.get(func) or _BY_NAME.get(_name(func)) or anything
