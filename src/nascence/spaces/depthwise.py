"""Dilated depthwise convolutions whose derivative is cheap on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.graph import is_tracing


def depthwise_dilated(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """``F.conv2d(x, weight, None, stride, kernel - 1, 2, channels)``, with a cheap derivative.

    The library's derivative of depthwise convolutions takes 6 to 40 times longer with
    dilation than without. Positions of one parity meet only their own kind, so a dilation of 2
    is none at all on the four sublattices, and with a stride of 2 one of them is left.

    Args:
        x: Images ``(B, C, H, W)``.
        weight: ``(C, 1, kh, kw)`` with odd sides.
        stride: 1 or 2.

    Returns:
        ``(B, C, ceil(H / stride), ceil(W / stride))``.
    """
    channels, (height, width) = x.shape[1], x.shape[2:]
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    if stride == 2:
        return F.conv2d(x[:, :, ::2, ::2], weight, None, 1, padding, 1, channels)
    if height % 2 or width % 2:
        even = F.pad(x, (0, width % 2, 0, height % 2))
        return depthwise_dilated(even, weight, 1)[:, :, :height, :width]
    parts = x.permute(0, 2, 3, 1).reshape(-1, height // 2, 2, width // 2, 2, channels)
    parts = parts.permute(0, 2, 4, 1, 3, 5).reshape(-1, height // 2, width // 2, channels)
    parts = F.conv2d(parts.permute(0, 3, 1, 2), weight, None, 1, padding, 1, channels)
    parts = parts.permute(0, 2, 3, 1).reshape(-1, 2, 2, height // 2, width // 2, channels)
    whole = parts.permute(0, 3, 1, 4, 2, 5).reshape(-1, height, width, channels)
    return whole.permute(0, 3, 1, 2)


class DilatedSeparable(nn.Sequential):
    """ReLU, dilated depthwise and pointwise convolution, BatchNorm: ``(B, C, H, W)`` to like it.

    Where gradients are recorded on a CPU the depthwise convolution is :func:`depthwise_dilated`;
    elsewhere, and for whatever reads or replaces the layers, this is an ``nn.Sequential``.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C, ceil(H / stride), ceil(W / stride))``."""
        if not self._by_phases(x):
            return super().forward(x)
        activation, depthwise, *others = self
        assert isinstance(depthwise, nn.Conv2d)
        x = depthwise_dilated(activation(x), depthwise.weight, depthwise.stride[0])
        for layer in others:
            x = layer(x)
        return x

    def _by_phases(self, x: Tensor) -> bool:
        if not (self.training and torch.is_grad_enabled() and x.is_cpu):
            return False
        if torch.compiler.is_compiling() or torch.jit.is_scripting() or is_tracing():
            return False
        layer = self[1]
        hooks = layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
        return type(layer) is nn.Conv2d and layer.dilation == (2, 2) and not hooks
