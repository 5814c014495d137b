"""Residual networks. He, Zhang, Ren, Sun: Deep residual learning (CVPR 2016), arXiv 1512.03385.

Weights start as in the paper: convolutions by He et al. (2015), normal with fan-out; BatchNorm at
one and zero; the classifier as torch starts a linear layer.
"""

from collections.abc import Sequence
from itertools import product

import torch.nn.functional as F
from torch import Tensor, nn

from nascence.models.layers import (
    STEMS,
    ConvNorm,
    Convolution,
    check_choice,
    check_ends,
    kaiming_,
)

SHORTCUTS = ("identity", "projection")


class PaddedIdentity(nn.Module):
    """Shortcut without parameters (the paper's option A): subsample, then append zero channels.

    ``(B, in_channels, H, W)`` to ``(B, out_channels, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.extra = out_channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, in_channels, H, W) to (B, out_channels, H / stride, W / stride)."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.extra))


def _shortcut(
    kind: str, in_channels: int, out_channels: int, stride: int, conv: Convolution
) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if kind == "identity":
        return PaddedIdentity(in_channels, out_channels, stride=stride)
    return ConvNorm(in_channels, out_channels, stride=stride, conv=conv)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (figure 5, left): ``relu(shortcut(x) + f(x))``."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        shortcut: str = "projection",
        conv: Convolution = nn.Conv2d,
    ) -> None:
        super().__init__()
        self.residual = nn.Sequential(*self._layers(in_channels, channels, stride, conv))
        out_channels = channels * self.expansion
        self.shortcut = _shortcut(shortcut, in_channels, out_channels, stride, conv)

    def _layers(
        self, in_channels: int, channels: int, stride: int, conv: Convolution
    ) -> list[nn.Module]:
        return [
            ConvNorm(in_channels, channels, 3, stride=stride, activation=nn.ReLU, conv=conv),
            ConvNorm(channels, channels, 3, conv=conv),
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, in_channels, H, W) to (B, expansion * channels, H / stride, W / stride)."""
        return F.relu(self.shortcut(x) + self.residual(x))


class Bottleneck(BasicBlock):
    """1x1, 3x3, 1x1 convolutions and a shortcut (figure 5, right); four times ``channels`` out.

    The stride is in the 3x3 convolution, as in every current implementation ("v1.5"), where the
    paper has it in the first 1x1; the parameters are the same.
    """

    expansion = 4

    def _layers(
        self, in_channels: int, channels: int, stride: int, conv: Convolution
    ) -> list[nn.Module]:
        return [
            ConvNorm(in_channels, channels, activation=nn.ReLU, conv=conv),
            ConvNorm(channels, channels, 3, stride=stride, activation=nn.ReLU, conv=conv),
            ConvNorm(channels, channels * self.expansion, conv=conv),
        ]


class ResNet(nn.Module):
    """Stem, stages of residual blocks, global average, linear classifier.

    ``blocks`` and ``widths`` give each stage's number of blocks and its channels (before the
    bottleneck's expansion); each stage but the first halves the image. ``stem`` is "imagenet"
    (7x7 stride 2 and max-pooling: a quarter of the size) or "cifar" (3x3 at stride 1, nothing
    else, for images of about 32 pixels). ``shortcut`` where shapes change is "projection"
    (option B: 1x1 convolution) or "identity" (option A: zero-padded, no parameters). ``conv``
    makes every convolution but the stem's.

    ``(B, in_channels, H, W)`` to ``(B, classes)``. Raises ValueError on an unknown stem or
    shortcut.
    """

    def __init__(
        self,
        block: type[BasicBlock],
        blocks: Sequence[int],
        widths: Sequence[int] = (64, 128, 256, 512),
        *,
        classes: int,
        in_channels: int = 3,
        stem: str = "imagenet",
        shortcut: str = "projection",
        conv: Convolution = nn.Conv2d,
    ) -> None:
        super().__init__()
        check_ends(classes, in_channels)
        check_choice("stem", stem, STEMS)
        check_choice("shortcut", shortcut, SHORTCUTS)
        channels = widths[0]
        kernel, stride = (7, 2) if stem == "imagenet" else (3, 1)
        self.stem: nn.Sequential = ConvNorm(
            in_channels, channels, kernel, stride=stride, activation=nn.ReLU
        )
        if stem == "imagenet":
            self.stem.append(nn.MaxPool2d(3, stride=2, padding=1))
        self.stages = nn.Sequential()
        for index, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            stage = nn.Sequential()
            for position in range(count):
                stride = 2 if index and not position else 1
                stage.append(block(channels, width, stride=stride, shortcut=shortcut, conv=conv))
                channels = width * block.expansion
            self.stages.append(stage)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, classes)
        kaiming_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) for images (B, in_channels, H, W)."""
        return self.head(self.pool(self.stages(self.stem(x))).flatten(1))


def resnet18(*, classes: int = 1000, in_channels: int = 3, stem: str = "imagenet") -> ResNet:
    """ResNet-18: 11.7 M parameters and 1.8 G MACs at 224 pixels with 1000 classes."""
    return ResNet(BasicBlock, (2, 2, 2, 2), classes=classes, in_channels=in_channels, stem=stem)


def resnet34(*, classes: int = 1000, in_channels: int = 3, stem: str = "imagenet") -> ResNet:
    """ResNet-34: 21.8 M parameters and 3.7 G MACs at 224 pixels with 1000 classes."""
    return ResNet(BasicBlock, (3, 4, 6, 3), classes=classes, in_channels=in_channels, stem=stem)


def resnet50(*, classes: int = 1000, in_channels: int = 3, stem: str = "imagenet") -> ResNet:
    """ResNet-50: 25.6 M parameters and 4.1 G MACs at 224 pixels with 1000 classes."""
    return ResNet(Bottleneck, (3, 4, 6, 3), classes=classes, in_channels=in_channels, stem=stem)


def resnet101(*, classes: int = 1000, in_channels: int = 3, stem: str = "imagenet") -> ResNet:
    """ResNet-101: 44.5 M parameters and 7.8 G MACs at 224 pixels with 1000 classes."""
    return ResNet(Bottleneck, (3, 4, 23, 3), classes=classes, in_channels=in_channels, stem=stem)


def cifar_resnet(
    depth: int,
    *,
    width: int = 16,
    classes: int = 10,
    in_channels: int = 3,
    shortcut: str = "identity",
) -> ResNet:
    """The paper's network for CIFAR (section 4.2): 6n + 2 layers in three stages.

    The stages have ``width``, twice and four times ``width`` channels. Parameters with the paper's
    width 16 and option A: 0.27 M at ``depth`` 20, 0.46 M at 32, 0.66 M at 44, 0.85 M at 56, 1.7 M
    at 110. Raises ValueError where ``depth`` is not 6n + 2 or ``width`` is under one.
    """
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"depth is {depth}; it must be 6n + 2: 8, 14, 20, 26, 32, ...")
    if width < 1:
        raise ValueError(f"width is {width}; it must be at least 1")
    return ResNet(
        BasicBlock,
        [(depth - 2) // 6] * 3,
        [width, 2 * width, 4 * width],
        classes=classes,
        in_channels=in_channels,
        stem="cifar",
        shortcut=shortcut,
    )


def resnet20(*, classes: int = 10, in_channels: int = 3, shortcut: str = "identity") -> ResNet:
    """:func:`cifar_resnet` of depth 20: 0.27 M parameters, 41 M MACs at 32 pixels."""
    return cifar_resnet(20, classes=classes, in_channels=in_channels, shortcut=shortcut)


def resnet32(*, classes: int = 10, in_channels: int = 3, shortcut: str = "identity") -> ResNet:
    """:func:`cifar_resnet` of depth 32: 0.46 M parameters, 69 M MACs at 32 pixels."""
    return cifar_resnet(32, classes=classes, in_channels=in_channels, shortcut=shortcut)


def resnet44(*, classes: int = 10, in_channels: int = 3, shortcut: str = "identity") -> ResNet:
    """:func:`cifar_resnet` of depth 44: 0.66 M parameters, 97 M MACs at 32 pixels."""
    return cifar_resnet(44, classes=classes, in_channels=in_channels, shortcut=shortcut)


def resnet56(*, classes: int = 10, in_channels: int = 3, shortcut: str = "identity") -> ResNet:
    """:func:`cifar_resnet` of depth 56: 0.85 M parameters, 125 M MACs at 32 pixels."""
    return cifar_resnet(56, classes=classes, in_channels=in_channels, shortcut=shortcut)


def resnet110(*, classes: int = 10, in_channels: int = 3, shortcut: str = "identity") -> ResNet:
    """:func:`cifar_resnet` of depth 110: 1.7 M parameters, 253 M MACs at 32 pixels."""
    return cifar_resnet(110, classes=classes, in_channels=in_channels, shortcut=shortcut)


def _cifar_macs(
    depth: int, widths: Sequence[int], classes: int, image_shape: tuple[int, int, int]
) -> int:
    """Multiply-adds of a three-stage network with option A, in closed form."""
    channels, height, wide = image_shape
    total = 9 * channels * widths[0] * height * wide + widths[-1] * classes
    before = widths[0]
    for index, width in enumerate(widths):
        if index:
            height, wide = -(-height // 2), -(-wide // 2)
        total += 9 * height * wide * width * (before + width * ((depth - 2) // 3 - 1))
        before = width
    return total


def resnet_of_macs(macs: int, *, classes: int, image_shape: tuple[int, int, int]) -> ResNet:
    """A network of the CIFAR family whose multiply-adds are nearest to ``macs``.

    It is the baseline that a designer would size by hand. ``image_shape`` is ``(C, H, W)``. Depth
    is the greatest of 20, 14 and 8 whose first stage then has the paper's 16 channels or more, and
    8 below that (at 32 pixels: 20 from 41 M, 14 from 26 M): a budget first buys width, since a
    narrow deep network is slower and trains worse. The stages have about w, 2w and 4w channels; w
    is the greatest that stays within the budget, and up to 1, 2 and 4 channels added to the stages
    take up the rest. Raises ValueError where the smallest such network exceeds ``macs`` by more
    than 5 %, and on an image without a pixel.
    """
    check_ends(classes, image_shape[0])
    if min(image_shape) < 1:
        raise ValueError(f"image_shape is {image_shape}; channels, height and width start at 1")

    def cost(depth: int, *widths: int) -> int:
        return _cifar_macs(depth, widths, classes, image_shape)

    smallest = cost(8, 1, 2, 4)
    if macs < 0.95 * smallest:
        raise ValueError(f"macs is {macs}; the smallest network needs {smallest}")
    depth = next((depth for depth in (20, 14) if cost(depth, 16, 32, 64) <= macs), 8)
    width = 1
    while cost(depth, width + 1, 2 * width + 2, 4 * width + 4) <= macs:
        width += 1
    candidates = product(
        range(width, width + 2), range(2 * width, 2 * width + 3), range(4 * width, 4 * width + 5)
    )
    widths = min(candidates, key=lambda widths: abs(cost(depth, *widths) - macs))
    return ResNet(
        BasicBlock,
        [(depth - 2) // 6] * 3,
        widths,
        classes=classes,
        in_channels=image_shape[0],
        stem="cifar",
        shortcut="identity",
    )
