"""Dilated depthwise convolutions whose derivative is cheap on a CPU."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.graph import is_tracing


def depthwise_dilated(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """``F.conv2d(x, weight, None, stride, kernel - 1, 2, channels)``, with a cheap derivative.

    The library's derivative of depthwise convolutions takes 6 to 40 times longer with
    dilation than without. That of the images is again a dilated convolution, with the kernel
    turned round, and that of the kernel is one without dilation on the four sublattices, since
    positions of one parity meet only their own kind. With a stride of 2 one sublattice is left.

    Args:
        x: Images ``(B, C, H, W)``.
        weight: ``(C, 1, kh, kw)`` with odd sides.
        stride: 1 or 2.

    Returns:
        ``(B, C, ceil(H / stride), ceil(W / stride))``.
    """
    if stride == 2:
        padding = (weight.shape[2] // 2, weight.shape[3] // 2)
        return F.conv2d(x[:, :, ::2, ::2], weight, None, 1, padding, 1, x.shape[1])
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
    result: Tensor = _Dilated.apply(x, weight)
    return result


def _dilated(x: Tensor, weight: Tensor) -> Tensor:
    padding = (weight.shape[2] - 1, weight.shape[3] - 1)
    return F.conv2d(x, weight, None, 1, padding, 2, weight.shape[0])


class _Dilated(torch.autograd.Function):
    """Dilated depthwise convolution of stride 1: ``(B, C, H, W), (C, 1, kh, kw) -> (B, C, H, W)``.

    Both derivatives can be differentiated again, mapped over and taken forward.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        return _dilated(x, weight)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = _dilated(gradient, weight.flip(2, 3))
        if ctx.needs_input_grad[1]:
            padding = [weight.shape[2] // 2, weight.shape[3] // 2]
            of_weight = torch.ops.aten.convolution_backward(
                *(_sublattices(gradient), _sublattices(x), weight, None, [1, 1], padding, [1, 1]),
                *(False, [0, 0], weight.shape[0], [False, True, False]),
            )[1]
        return of_x, of_weight

    @staticmethod
    def jvp(ctx: Any, x_tangent: Tensor, weight_tangent: Tensor) -> Tensor:
        x, weight = ctx.saved_tensors
        return _dilated(x_tangent, weight) + _dilated(x, weight_tangent)


def _sublattices(x: Tensor) -> Tensor:
    """Positions of one parity as images of their own: ``(4 B, C, ceil(H / 2), ceil(W / 2))``."""
    x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
    channels, height, width = x.shape[1], x.shape[2] // 2, x.shape[3] // 2
    parts = x.permute(0, 2, 3, 1).reshape(-1, height, 2, width, 2, channels)
    parts = parts.permute(0, 2, 4, 1, 3, 5).reshape(-1, height, width, channels)
    return parts.permute(0, 3, 1, 2)


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
