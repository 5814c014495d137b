"""The pieces that several families share: convolution with BatchNorm, first weights, checks."""

import math
from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

Convolution = Callable[..., nn.Module]
"""``(in_channels, out_channels, kernel_size, *, stride, padding, groups, bias)`` to a module.

``torch.nn.Conv2d`` and :class:`nascence.models.DynamicConv2d` are convolutions in this sense.
"""

STEMS = ("imagenet", "cifar")


class ConvNorm(nn.Sequential):
    """Convolution without bias that keeps the size at stride 1, BatchNorm, and an activation.

    ``(B, in_channels, H, W)`` to ``(B, out_channels, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: type[nn.Module] | None = None,
        conv: Convolution = nn.Conv2d,
    ) -> None:
        super().__init__(
            conv(
                in_channels,
                out_channels,
                kernel_size,
                stride=stride,
                padding=kernel_size // 2,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels),
        )
        if activation is not None:
            self.append(activation(inplace=True))


def kaiming_(model: nn.Module, *, mode: Literal["fan_in", "fan_out"] = "fan_out") -> None:
    """Fill every Conv2d with He et al. (2015)'s normal for ReLU; its bias with zeros.

    The deviation is ``√(2 / fan)`` and a fan counts only the channels of one group, where
    ``torch.nn.init`` counts all of them and so starts a depthwise convolution near zero. BatchNorm
    starts as torch starts it: scale one, shift zero.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            kaiming_kernel_(module.weight, groups=module.groups, mode=mode)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def kaiming_kernel_(
    weight: Tensor, *, groups: int = 1, mode: Literal["fan_in", "fan_out"] = "fan_out"
) -> None:
    """Fill one kernel, ``(out_channels, in_channels // groups, height, width)``, that way."""
    out_channels, in_channels, height, width = weight.shape
    channels = in_channels if mode == "fan_in" else out_channels // groups
    nn.init.normal_(weight, 0.0, math.sqrt(2 / (channels * height * width)))


def normal_head_(head: nn.Linear, *, std: float = 0.01) -> None:
    """Fill a classifier with a normal of deviation ``std`` and a zero bias."""
    nn.init.normal_(head.weight, 0.0, std)
    nn.init.zeros_(head.bias)


def divisible(channels: float, divisor: int = 8) -> int:
    """The multiple of ``divisor`` nearest to ``channels``, never under 90 % of it."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest


def check_choice(what: str, got: str, allowed: tuple[str, ...]) -> None:
    """Raise ValueError if ``got`` is not one of ``allowed``."""
    if got not in allowed:
        raise ValueError(f"{what} is {got!r}; use one of {', '.join(map(repr, allowed))}")


def check_ends(classes: int, in_channels: int) -> None:
    """Raise ValueError where a network would have no input or no output."""
    if classes < 1 or in_channels < 1:
        raise ValueError(
            f"classes is {classes} and in_channels is {in_channels}; both must be at least 1"
        )
