"""The block of MobileNetV3: inverted bottleneck with squeeze-and-excitation, and its costs."""

from collections import OrderedDict

from torch import Tensor, nn

from nascence.spaces.additive import Cost, total
from nascence.spaces.blocks import convolution_cost, normalised


class SqueezeExcitation(nn.Module):
    """Scale channels by what their means say (Hu et al., CVPR 2018), with a hard sigmoid.

    ``(B, channels, H, W)`` to the same; a quarter of the channels in between, see
    :func:`squeezed`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed(channels), 1)
        self.restore = nn.Conv2d(squeezed(channels), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(B, C, H, W)`` to the same shape."""
        means = x.mean((2, 3), keepdim=True)
        scale = self.restore(nn.functional.relu(self.reduce(means)))
        return x * nn.functional.hardsigmoid(scale)


class InvertedResidual(nn.Module):
    """Howard et al., "Searching for MobileNetV3", ICCV 2019: 1x1, depthwise, squeeze, linear 1x1.

    ``(B, in_channels, H, W)`` to ``(B, out_channels, ceil(H / stride), ceil(W / stride))``, the
    input added where the shapes agree. An expansion of one has no first 1x1.

    Args:
        in_channels, out_channels: of the block.
        kernel: side of the depthwise convolution, odd.
        expansion: hidden channels are so many times the input's.
        stride: of the depthwise convolution.
        squeeze: scale the hidden channels with :class:`SqueezeExcitation`.
        hard_swish: the activation; a ReLU where not.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int,
        expansion: int,
        stride: int,
        squeeze: bool = False,
        hard_swish: bool = False,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion > 1:
            parts["expand"] = nn.Sequential(
                *normalised(in_channels, hidden), activation(hard_swish)
            )
        depthwise = normalised(hidden, hidden, kernel, stride=stride, groups=hidden)
        parts["depthwise"] = nn.Sequential(*depthwise, activation(hard_swish))
        if squeeze:
            parts["squeeze"] = SqueezeExcitation(hidden)
        parts["project"] = nn.Sequential(*normalised(hidden, out_channels))
        self.residual = nn.Sequential(parts)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(B, in_channels, H, W)`` to ``(B, out_channels, H / stride, W / stride)``."""
        return x + self.residual(x) if self.shortcut else self.residual(x)


def activation(hard_swish: bool) -> nn.Module:
    """Make a hard swish or a ReLU."""
    return nn.Hardswish(inplace=True) if hard_swish else nn.ReLU(inplace=True)


def divisible(channels: float) -> int:
    """Round to a multiple of 8 that is at least 8 and not below 0.9 of ``channels``."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def squeezed(channels: int) -> int:
    """Channels between the two convolutions of a squeeze-and-excitation."""
    return divisible(channels // 4)


def block_cost(
    in_channels: int,
    out_channels: int,
    *,
    kernel: int,
    expansion: int,
    side: int,
    out: int,
    squeeze: bool = False,
) -> Cost:
    """Cost of an :class:`InvertedResidual` with input of ``side`` and output of ``out`` pixels."""
    hidden = in_channels * expansion
    parts = [convolution_cost(in_channels, hidden, 1, side)] if expansion > 1 else []
    parts.append(convolution_cost(hidden, hidden, kernel, out, groups=hidden))
    if squeeze:
        weights = 2 * hidden * squeezed(hidden)
        parts.append(Cost(weights + hidden + squeezed(hidden), weights))
    parts.append(convolution_cost(hidden, out_channels, 1, out))
    return total(parts)
