"""The pieces that every re-parameterised block is made of."""

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

Size = int | Sequence[int]
Pair = tuple[int, int]


def pair_of(value: Size, name: str) -> Pair:
    """``value`` for both spatial axes."""
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
        """Check and complete; ``padding`` None is half the reach of the kernel."""
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

    def window(self, kernel: Pair) -> tuple[int, int, int, int]:
        """How far to pad (or, negative, to crop) the input of an unpadded convolution with a
        smaller ``kernel`` so that it lies in the middle of this one: left, right, top, bottom.
        """
        amounts = []
        for axis in (1, 0):
            skipped = (self.kernel[axis] - 1) // 2 - (kernel[axis] - 1) // 2
            rest = self.kernel[axis] - kernel[axis] - skipped
            for taps in (skipped, rest):
                amounts.append(self.padding[axis] - self.dilation[axis] * taps)
        return amounts[0], amounts[1], amounts[2], amounts[3]

    def at_centre(self, kernel: Pair) -> "Geometry2d":
        """Geometry of a convolution with ``kernel`` on an input padded by ``window(kernel)``."""
        return self._replace(kernel=kernel, padding=(0, 0))

    @property
    def keeps_size(self) -> bool:
        """Whether the output has the size of the input."""
        return self.stride == (1, 1) and not any(self.window((1, 1)))


def shifted(x: Tensor, window: tuple[int, int, int, int]) -> Tensor:
    """``x`` padded by zeros, or cropped where negative, as ``Geometry2d.window`` says."""
    return F.pad(x, window) if any(window) else x


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


def conv_norm(
    in_channels: int, out_channels: int, geometry: Geometry2d, *, groups: int = 1
) -> nn.Sequential:
    """A convolution without bias and its BatchNorm."""
    return nn.Sequential(
        convolution(in_channels, out_channels, geometry, groups=groups),
        nn.BatchNorm2d(out_channels),
    )
