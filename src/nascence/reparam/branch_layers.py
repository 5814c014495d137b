"""The pieces that every re-parameterised block is made of."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = int | Sequence[int]
Pair = tuple[int, int]
Window = tuple[int, int, int, int]


def pair_of(value: Size, name: str) -> Pair:
    """``value`` for both spatial axes.

    Raises:
        ValueError: ``value`` is not one number or two.
    """
    values = (value, value) if isinstance(value, int) else tuple(value)
    if len(values) != 2:
        raise ValueError(f"{name} is {value}; allowed is one number or two")
    return values[0], values[1]


class Geometry2d(NamedTuple):
    """Kernel, stride, padding and dilation of a convolution on ``(B, C, H, W)``."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    @classmethod
    def of(cls, kernel: Size, stride: Size, padding: Size | None, dilation: Size) -> "Geometry2d":
        """Check and complete; ``padding`` None is half the reach of the kernel.

        Raises:
            ValueError: a size, stride or dilation is below 1, or the padding negative.
        """
        sizes, steps = pair_of(kernel, "kernel_size"), pair_of(dilation, "dilation")
        strides = pair_of(stride, "stride")
        if min(*sizes, *steps, *strides) < 1:
            raise ValueError(
                f"kernel_size {kernel}, stride {stride}, dilation {dilation}: each must be at "
                "least 1"
            )
        half = (steps[0] * (sizes[0] - 1) // 2, steps[1] * (sizes[1] - 1) // 2)
        pads = half if padding is None else pair_of(padding, "padding")
        if min(pads) < 0:
            raise ValueError(f"padding is {padding}; it must not be negative")
        return cls(sizes, strides, pads, steps)

    def branch(self, kernel: Pair) -> tuple["Geometry2d", Window]:
        """A branch with a smaller ``kernel`` in the middle of this one.

        Returns its geometry and how far its input is padded by zeros first (negative: cropped),
        as left, right, top, bottom, where the padding of a convolution cannot say it.
        """
        padding, window = [0, 0], [0, 0, 0, 0]
        for axis in (0, 1):
            skipped = (self.kernel[axis] - 1) // 2 - (kernel[axis] - 1) // 2
            rest = self.kernel[axis] - kernel[axis] - skipped
            low = self.padding[axis] - self.dilation[axis] * skipped
            high = self.padding[axis] - self.dilation[axis] * rest
            if low == high >= 0:
                padding[axis] = low
            else:
                window[2 * (1 - axis)], window[2 * (1 - axis) + 1] = low, high
        geometry = self._replace(kernel=kernel, padding=(padding[0], padding[1]))
        return geometry, (window[0], window[1], window[2], window[3])

    @property
    def keeps_size(self) -> bool:
        """Whether the output has the size of the input."""
        geometry, window = self.branch((1, 1))
        return self.stride == (1, 1) and not any(window) and not any(geometry.padding)


class ConvNorm(nn.Sequential):
    """Padding or cropping where needed, a convolution without bias, and its BatchNorm."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        geometry: Geometry2d,
        *,
        kernel: Pair | None = None,
        groups: int = 1,
    ) -> None:
        inner, window = geometry.branch(kernel or geometry.kernel)
        super().__init__()
        if any(window):
            self.append(nn.ZeroPad2d(window))
        self.append(convolution(in_channels, out_channels, inner, groups=groups))
        self.append(nn.BatchNorm2d(out_channels))


class PaddedNorm(nn.Module):
    """BatchNorm, then padding with the value that it gives to a zero.

    So the border is what the convolution and BatchNorm before make of zeros, and a convolution
    after it folds exactly (Ding et al., "Diverse Branch Block", CVPR 2021, section 3.3). The
    value comes from the running statistics, also in training.
    """

    def __init__(self, channels: int, padding: Pair) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.padding = (padding[1], padding[1], padding[0], padding[0])

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and pad ``(B, C, H, W)``."""
        if not any(self.padding):
            return self.norm(x)
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        spread = torch.sqrt(norm.running_var + norm.eps)
        scale = norm.weight / spread  # as folding computes it, so that the two cancel exactly
        border = (norm.bias - norm.running_mean * scale).reshape(-1, 1, 1)
        return F.pad(norm(x) - border, self.padding) + border


class IdentityPointwise(nn.Module):
    """A 1 x 1 convolution with kernel I + W, W zero at first (Ding et al. 2021, section 3.4)."""

    identity: Tensor

    def __init__(self, channels: int, width: int, groups: int = 1) -> None:
        super().__init__()
        per_group = channels // groups
        index = torch.arange(width) % per_group
        if groups == channels:
            index = torch.zeros(width, dtype=torch.long)
        identity = F.one_hot(index, per_group).to(torch.get_default_dtype())
        self.groups = groups
        self.register_buffer("identity", identity.reshape(width, per_group, 1, 1))
        self.weight = nn.Parameter(torch.zeros(width, per_group, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, channels, H, W)`` to ``(B, width, H, W)``."""
        return F.conv2d(x, self.weight + self.identity, groups=self.groups)


class AveragePooling(nn.Module):
    """Average over the window of ``geometry``, which may be dilated, without padding."""

    kernel: Tensor

    def __init__(self, channels: int, geometry: Geometry2d) -> None:
        super().__init__()
        height, width = geometry.kernel
        self.geometry = geometry
        self.channels = channels
        kernel = torch.full((channels, 1, height, width), 1.0 / (height * width))
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Average ``(B, channels, H, W)``."""
        kernel, stride, _, dilation = self.geometry
        if dilation == (1, 1):
            return F.avg_pool2d(x, kernel, stride)
        return F.conv2d(x, self.kernel, None, stride, 0, dilation, self.channels)


def convolution(
    in_channels: int, out_channels: int, geometry: Geometry2d, *, groups: int = 1
) -> nn.Conv2d:
    """A convolution without bias."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        geometry.kernel,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        groups,
        bias=False,
    )
