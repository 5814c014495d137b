"""ShuffleNetV2. Ma, Zhang, Zheng, Sun (ECCV 2018), arXiv 1807.11164.

Weights start by He et al. (2015), normal with the fan-out of one group, BatchNorm at one and zero,
the classifier from a normal of deviation 0.01: the paper states no rule, and this is the usual one.
"""

import torch
from torch import Tensor, nn

from nascence.models.layers import (
    STEMS,
    ConvNorm,
    check_choice,
    check_ends,
    kaiming_,
    normal_head_,
)

# Table 5 of the paper: channels of stages 2, 3 and 4 and of the last convolution, by width.
CHANNELS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
REPEATS = (4, 8, 4)
STEM_CHANNELS = 24


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Transpose the channels of ``x`` (B, C, H, W), seen as ``groups`` rows.

    Channel ``g * n + i`` moves to ``i * groups + g``, with n channels in a group.
    """
    batch, channels, height, width = x.shape
    x = x.view(batch, groups, channels // groups, height, width)
    return x.transpose(1, 2).reshape(batch, channels, height, width)


def _branch(in_channels: int, channels: int, *, stride: int) -> list[nn.Module]:
    return [
        ConvNorm(in_channels, channels, activation=nn.ReLU),
        ConvNorm(channels, channels, 3, stride=stride, groups=channels),
        ConvNorm(channels, channels, activation=nn.ReLU),
    ]


class ShuffleUnit(nn.Module):
    """Half of the channels pass unchanged, half go through 1x1, depthwise 3x3, 1x1; then a shuffle.

    Figure 3 (c): ``(B, channels, H, W)`` to the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(*_branch(channels // 2, channels // 2, stride=1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, channels, H, W) to the same shape."""
        kept, worked = x.chunk(2, dim=1)
        return channel_shuffle(torch.cat((kept, self.branch(worked)), dim=1), 2)


class ShuffleDownsample(nn.Module):
    """Two branches at stride 2 on the whole input, each giving half of the channels; a shuffle.

    Figure 3 (d): ``(B, in_channels, H, W)`` to ``(B, out_channels, ceil(H / 2), ceil(W / 2))``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.shortcut = nn.Sequential(
            ConvNorm(in_channels, in_channels, 3, stride=2, groups=in_channels),
            ConvNorm(in_channels, half, activation=nn.ReLU),
        )
        self.branch = nn.Sequential(*_branch(in_channels, half, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, in_channels, H, W) to (B, out_channels, H / 2, W / 2)."""
        return channel_shuffle(torch.cat((self.shortcut(x), self.branch(x)), dim=1), 2)


class ShuffleNetV2(nn.Module):
    """Stem, three stages of units, 1x1 convolution, global average, classifier (table 5).

    ``width`` is 0.5, 1.0, 1.5 or 2.0. ``stem`` is "imagenet" (3x3 stride 2 and max-pooling: a
    quarter of the size) or "cifar" (3x3 at stride 1, nothing else); the stages divide the size by
    eight.

    ``(B, in_channels, H, W)`` to ``(B, classes)``. Raises ValueError on an unknown stem or width.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        classes: int = 1000,
        in_channels: int = 3,
        stem: str = "imagenet",
    ) -> None:
        super().__init__()
        check_ends(classes, in_channels)
        check_choice("stem", stem, STEMS)
        if width not in CHANNELS:
            raise ValueError(f"width is {width}; use one of {', '.join(map(str, CHANNELS))}")
        *stages, last = CHANNELS[width]
        channels = STEM_CHANNELS
        self.stem: nn.Sequential = ConvNorm(
            in_channels, channels, 3, stride=2 if stem == "imagenet" else 1, activation=nn.ReLU
        )
        if stem == "imagenet":
            self.stem.append(nn.MaxPool2d(3, stride=2, padding=1))
        self.stages = nn.Sequential()
        for out_channels, count in zip(stages, REPEATS, strict=True):
            units = [ShuffleUnit(out_channels) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(ShuffleDownsample(channels, out_channels), *units))
            channels = out_channels
        self.tail = ConvNorm(channels, last, activation=nn.ReLU)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(last, classes)
        kaiming_(self)
        normal_head_(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) for images (B, in_channels, H, W)."""
        return self.head(self.pool(self.tail(self.stages(self.stem(x)))).flatten(1))


def shufflenet_v2(
    *, width: float = 1.0, classes: int = 1000, in_channels: int = 3, stem: str = "imagenet"
) -> ShuffleNetV2:
    """ShuffleNetV2: 2.3 M parameters and 0.15 G MACs at 224 pixels with 1000 classes, width 1."""
    return ShuffleNetV2(width=width, classes=classes, in_channels=in_channels, stem=stem)
