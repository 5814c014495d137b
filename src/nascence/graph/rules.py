"""What each function of torch means for the graph.

A rule gets the recorder, the function and its arguments, and returns the result: a tensor of
the right shape with its lineage set. Functions without a rule of their own run on the meta
device through :func:`nascence.graph.general_rules.anything`.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from nascence.graph import general_rules as general
from nascence.graph import layer_rules as layers
from nascence.graph.attention_rules import ATTENTION_RULES
from nascence.graph.elementwise_rules import binary, unary
from nascence.graph.recorder import Rule

_UNARY = """
    relu relu_ relu6 gelu silu silu_ mish hardswish hardswish_ hardsigmoid hardsigmoid_ hardtanh
    hardtanh_ sigmoid sigmoid_ tanh tanh_ elu elu_ celu selu leaky_relu leaky_relu_ softplus
    softsign logsigmoid softmax log_softmax softmin exp log sqrt rsqrt abs __abs__ neg __neg__
    square clamp clamp_ clip clamp_min clamp_max dropout dropout1d dropout2d dropout3d
    alpha_dropout feature_alpha_dropout contiguous clone detach requires_grad_ normalize cumsum
    floor round sin cos erf reciprocal threshold tanhshrink
"""
_ADD = """
    add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __rsub__ __isub__ rsub subtract
"""
_MUL = """
    mul mul_ __mul__ __rmul__ __imul__ div div_ __truediv__ __rtruediv__ __div__ __idiv__
    __itruediv__ true_divide multiply divide
"""
_BINARY = """
    maximum minimum pow __pow__ __rpow__ fmod remainder atan2
"""
_PLAIN = """
    size dim numel nelement stride is_floating_point is_complex is_contiguous shape ndim dtype
    layout is_cuda is_meta is_sparse is_quantized requires_grad is_leaf names itemsize grad_fn
    is_nested ndimension element_size get_device is_mps is_xla is_cpu data_ptr __len__
    storage_offset is_set_to _version grad is_inference register_hook __hash__ __repr__
    __format__ is_same_size
"""
_READING = """
    item tolist numpy __bool__ __int__ __float__ __index__ __complex__ nonzero equal allclose
    unique is_nonzero __contains__ __array__ masked_select argwhere
"""
_CONSTANTS = """
    zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones new_empty
    new_full new_tensor
"""


def _table() -> dict[str, Rule]:
    table: dict[str, Rule] = dict.fromkeys(_UNARY.split(), unary)
    table |= dict.fromkeys(_ADD.split(), binary("add"))
    table |= dict.fromkeys(_MUL.split(), binary("mul"))
    table |= dict.fromkeys(_BINARY.split(), binary("other"))
    table |= dict.fromkeys(_PLAIN.split(), general.plain)
    table |= dict.fromkeys(_READING.split(), general.reading)
    table |= dict.fromkeys(_CONSTANTS.split(), general.constant_like)
    table |= dict.fromkeys(("to", "cpu", "cuda", "type_as", *general.CASTS), general.cast)
    table |= dict.fromkeys(("cat", "concat", "concatenate", "stack"), layers.concatenation)
    table |= dict.fromkeys(("__setitem__", "copy_", "index_put_", "scatter_"), general.assignment)
    table |= dict.fromkeys(("t", "T", "mT", "transpose", "swapaxes", "adjoint"), general.flip)
    for kind in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
        table[kind] = table[f"{kind}_cell"] = layers.recurrent
    for axes in (1, 2, 3):
        table[f"conv{axes}d"] = layers.convolution
        table[f"conv_transpose{axes}d"] = layers.transposed_convolution
        table[f"max_pool{axes}d"] = layers.pooling("max_pool", axes)
        table[f"max_pool{axes}d_with_indices"] = layers.pooling("max_pool", axes)
        table[f"avg_pool{axes}d"] = layers.pooling("avg_pool", axes)
        table[f"adaptive_avg_pool{axes}d"] = layers.adaptive_pooling("avg_pool", axes)
        table[f"adaptive_max_pool{axes}d"] = layers.adaptive_pooling("max_pool", axes)
    table |= {
        "mean": layers.reduction("mean"),
        "sum": layers.reduction("sum"),
        "linear": layers.linear,
        "embedding": layers.lookup,
        "__getitem__": general.indexing,
        "index_select": general.indexing,
        "gather": general.indexing,
        "view": general.view,
        "device": general.device,
        "layer_norm": layers.normalization("ln", 2, 3),
        "group_norm": layers.normalization("group_norm", 2, 3),
        "rms_norm": layers.normalization("ln", 2, 0),
        "batch_norm": layers.normalization("bn", 3, 4),
        "instance_norm": layers.normalization("instance_norm", 3, 4),
    }
    return {**table, **ATTENTION_RULES}


_BY_NAME = _table()


_BY_FUNCTION: dict[Any, Rule] = {
    torch.batch_norm: layers.normalization("bn", 1, 2),
    torch.instance_norm: layers.normalization("instance_norm", 1, 2),
    torch.rms_norm: layers.normalization("ln", 2, 0),
    F.softmax: unary,
}


def rule_of(func: Callable[..., Any]) -> Rule:
    """The rule for a function of torch, ``anything`` if it has none of its own."""
    return _BY_FUNCTION.get(func) or _BY_NAME.get(general.function_name(func)) or general.anything
