"""A list of layers as a function of its parameters, for meta-training.

A hypernetwork trains every network for one step. Modules for a network of a hundred layers cost
12 ms to make, a tenth of that step, and hold nothing that the list does not say.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from nascence.params import Params
from nascence.spaces.deepnets_network import FUNCTIONS
from nascence.spaces.deepnets_program import Layer
from nascence.spaces.depthwise import depthwise_dilated


class LayerFunction:
    """``(parameters by name, images (B, 3, S, S)) -> logits (B, classes)``.

    The values are those of :class:`LayerNetwork` in training mode: batch normalisation uses the
    batch at hand. ``layers`` is the program, plain numbers that pickle.
    """

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers

    def __call__(self, params: Params, images: Tensor) -> Tensor:
        """The logits; parameters that the layers do not name are ignored."""
        values = [images]
        for kind, name, inputs, settings, *_ in self.layers:
            if kind in _LEARNED:
                values.append(_LEARNED[kind](values[inputs[0]], params, name, settings))
            else:
                values.append(FUNCTIONS[kind](*(values[i] for i in inputs), settings))
        return values[-1]


def _conv(x: Tensor, params: Params, name: str, s: tuple[Any, ...]) -> Tensor:
    inner, out, kernel, stride, padding, dilation, groups, bias = s
    weight = params[f"{name}.weight"]
    usual = padding == tuple(k - 1 for k in kernel) and not bias
    if dilation == 2 and groups == inner == out and usual:
        return depthwise_dilated(x, weight, stride)
    offset = params[f"{name}.bias"] if bias else None
    return F.conv2d(x, weight, offset, stride, padding, dilation, groups)


def _linear(x: Tensor, params: Params, name: str, s: tuple[Any, ...]) -> Tensor:
    return F.linear(x, params[f"{name}.weight"], params[f"{name}.bias"] if s[2] else None)


def _batch_norm(x: Tensor, params: Params, name: str, s: tuple[Any, ...]) -> Tensor:
    weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
    return F.batch_norm(x, None, None, weight, bias, training=True)


def _layer_norm(x: Tensor, params: Params, name: str, s: tuple[Any, ...]) -> Tensor:
    return F.layer_norm(x, s[:1], params[f"{name}.weight"], params[f"{name}.bias"])


def _position(x: Tensor, params: Params, name: str, s: tuple[Any, ...]) -> Tensor:
    return x + params[f"{name}.grid"]


_LEARNED = {
    "conv": _conv,
    "linear": _linear,
    "bn": _batch_norm,
    "ln": _layer_norm,
    "pos_enc": _position,
}
