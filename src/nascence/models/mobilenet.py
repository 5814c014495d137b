"""MobileNetV2. Sandler, Howard, Zhu, Zhmoginov, Chen (CVPR 2018), arXiv 1801.04381.

Weights start by He et al. (2015), normal with the fan-out of one group, BatchNorm at one and zero,
the classifier from a normal of deviation 0.01: the paper states no rule, and this is the usual one.
"""

from torch import Tensor, nn

from nascence.models.layers import (
    STEMS,
    ConvNorm,
    Convolution,
    check_choice,
    check_ends,
    divisible,
    kaiming_,
    normal_head_,
)

# Table 2 of the paper: expansion t, channels c, repetitions n, stride s.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """1x1 to ``expansion`` times the channels, depthwise 3x3, linear 1x1 (section 3.3).

    ``(B, in_channels, H, W)`` to ``(B, out_channels, ceil(H / stride), ceil(W / stride))``; the
    input is added where the shapes agree. An expansion of one has no first 1x1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        expansion: int,
        conv: Convolution = nn.Conv2d,
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.residual = nn.Sequential()
        if expansion != 1:
            self.residual.append(ConvNorm(in_channels, hidden, activation=nn.ReLU6, conv=conv))
        self.residual.extend(
            [
                ConvNorm(
                    hidden, hidden, 3, stride=stride, groups=hidden, activation=nn.ReLU6, conv=conv
                ),
                ConvNorm(hidden, out_channels, conv=conv),
            ]
        )
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, in_channels, H, W) to (B, out_channels, H / stride, W / stride)."""
        return x + self.residual(x) if self.shortcut else self.residual(x)


class MobileNetV2(nn.Module):
    """Stem, inverted residuals (table 2), 1x1 convolution, global average, dropout, classifier.

    ``width`` multiplies every channel count, rounded to a multiple of 8; the last convolution has
    at least 1280. ``stem`` "cifar" takes stride 1 in the first convolution and in the second
    stage, an eighth of the size in the end where "imagenet" leaves a 32nd. ``dropout`` is the
    probability before the classifier. ``conv`` makes every convolution but the stem's.

    ``(B, in_channels, H, W)`` to ``(B, classes)``. Raises ValueError on an unknown stem or a width
    that is not positive.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        classes: int = 1000,
        in_channels: int = 3,
        stem: str = "imagenet",
        dropout: float = 0.2,
        conv: Convolution = nn.Conv2d,
    ) -> None:
        super().__init__()
        check_ends(classes, in_channels)
        check_choice("stem", stem, STEMS)
        if width <= 0:
            raise ValueError(f"width is {width}; it must be positive")
        small = stem == "cifar"
        channels = divisible(32 * width)
        self.stem = ConvNorm(
            in_channels, channels, 3, stride=1 if small else 2, activation=nn.ReLU6
        )
        self.blocks = nn.Sequential()
        for index, (expansion, base, count, stride) in enumerate(STAGES):
            out_channels = divisible(base * width)
            for position in range(count):
                self.blocks.append(
                    InvertedResidual(
                        channels,
                        out_channels,
                        stride=1 if position or (small and index == 1) else stride,
                        expansion=expansion,
                        conv=conv,
                    )
                )
                channels = out_channels
        last = divisible(1280 * max(1.0, width))
        self.tail = ConvNorm(channels, last, activation=nn.ReLU6, conv=conv)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(last, classes)
        kaiming_(self)
        normal_head_(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) for images (B, in_channels, H, W)."""
        x = self.pool(self.tail(self.blocks(self.stem(x)))).flatten(1)
        return self.head(self.dropout(x))


def mobilenet_v2(
    *,
    width: float = 1.0,
    classes: int = 1000,
    in_channels: int = 3,
    stem: str = "imagenet",
    dropout: float = 0.2,
) -> MobileNetV2:
    """MobileNetV2: 3.5 M parameters and 0.30 G MACs at 224 pixels with 1000 classes, width 1."""
    return MobileNetV2(
        width=width, classes=classes, in_channels=in_channels, stem=stem, dropout=dropout
    )
