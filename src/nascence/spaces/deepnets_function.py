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


def depthwise_dilated(x: Tensor, weight: Tensor, stride: tuple[int, int]) -> Tensor:
    """``F.conv2d(x, weight, None, stride, kernel - 1, 2, channels)``, with a cheap derivative.

    The library's derivative of depthwise convolutions takes 10 to 40 times longer with
    dilation than without. Positions of one parity meet only their own kind, so a dilation of 2
    is none at all on the four sublattices, and with a stride of 2 one of them is left.
    ``weight`` is ``(C, 1, kh, kw)`` with odd sides; for stride 1 height and width of ``x`` must
    be even.
    """
    channels, (height, width) = x.shape[1], x.shape[2:]
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    if stride == (2, 2):
        return F.conv2d(x[:, :, ::2, ::2], weight, None, 1, padding, 1, channels)
    parts = x.permute(0, 2, 3, 1).reshape(-1, height // 2, 2, width // 2, 2, channels)
    parts = parts.permute(0, 2, 4, 1, 3, 5).reshape(-1, height // 2, width // 2, channels)
    parts = F.conv2d(parts.permute(0, 3, 1, 2), weight, None, 1, padding, 1, channels)
    parts = parts.permute(0, 2, 3, 1).reshape(-1, 2, 2, height // 2, width // 2, channels)
    whole = parts.permute(0, 3, 1, 4, 2, 5).reshape(-1, height, width, channels)
    return whole.permute(0, 3, 1, 2)


def _conv(x: Tensor, params: Params, name: str, s: tuple[Any, ...]) -> Tensor:
    inner, out, kernel, stride, padding, dilation, groups, bias = s
    weight = params[f"{name}.weight"]
    even = x.shape[2] % 2 == x.shape[3] % 2 == 0
    usual = padding == tuple(k - 1 for k in kernel) and not bias
    if dilation == 2 and groups == inner == out and usual and (stride == 2 or even):
        return depthwise_dilated(x, weight, (stride, stride))
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
