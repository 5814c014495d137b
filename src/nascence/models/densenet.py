"""Densely connected networks. Huang, Liu, van der Maaten, Weinberger (CVPR 2017), arXiv 1608.06993.

Weights start as in the paper: convolutions by He et al. (2015), normal with fan-in; BatchNorm at
one and zero; the classifier's bias at zero.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nascence.models.layers import STEMS, ConvNorm, check_choice, check_ends, kaiming_


class DenseLayer(nn.Sequential):
    """BatchNorm, ReLU and a 3x3 convolution to ``growth`` channels.

    With ``bottleneck`` they follow BatchNorm, ReLU and a 1x1 convolution to four times ``growth``
    channels (section 3, "DenseNet-B").

    ``(B, in_channels, H, W)`` to ``(B, growth, H, W)``.
    """

    def __init__(self, in_channels: int, growth: int, *, bottleneck: bool) -> None:
        super().__init__()
        if bottleneck:
            self.extend(
                [
                    nn.BatchNorm2d(in_channels),
                    nn.ReLU(inplace=True),
                    nn.Conv2d(in_channels, 4 * growth, 1, bias=False),
                ]
            )
            in_channels = 4 * growth
        self.extend(
            [
                nn.BatchNorm2d(in_channels),
                nn.ReLU(inplace=True),
                nn.Conv2d(in_channels, growth, 3, padding=1, bias=False),
            ]
        )


class DenseBlock(nn.Module):
    """Each layer reads everything before it: ``x_l = H_l([x_0, ..., x_{l-1}])`` (equation 2).

    ``(B, in_channels, H, W)`` to ``(B, in_channels + layers * growth, H, W)``.
    """

    def __init__(self, in_channels: int, layers: int, growth: int, *, bottleneck: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(in_channels + index * growth, growth, bottleneck=bottleneck)
            for index in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Append the output of every layer to ``x`` (B, in_channels, H, W)."""
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


class Transition(nn.Sequential):
    """BatchNorm, ReLU, 1x1 convolution, average of 2x2: half the size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.AvgPool2d(2),
        )


class DenseNet(nn.Module):
    """Stem, dense blocks with transitions between, BatchNorm, global average, classifier.

    ``layers`` gives each block's layers; ``growth`` is k; ``width`` the stem's channels;
    ``compression`` the share of channels that a transition keeps; ``bottleneck`` makes it
    DenseNet-B. ``stem`` is "imagenet" (7x7 stride 2, BatchNorm, max-pooling: a quarter of the
    size) or "cifar" (3x3 at stride 1, nothing else).

    ``(B, in_channels, H, W)`` to ``(B, classes)``. Raises ValueError on an unknown stem.
    """

    def __init__(
        self,
        layers: Sequence[int],
        *,
        growth: int,
        width: int,
        classes: int,
        in_channels: int = 3,
        stem: str = "imagenet",
        compression: float = 0.5,
        bottleneck: bool = True,
    ) -> None:
        super().__init__()
        check_ends(classes, in_channels)
        check_choice("stem", stem, STEMS)
        if stem == "imagenet":
            self.stem: nn.Module = nn.Sequential(
                ConvNorm(in_channels, width, 7, stride=2, activation=nn.ReLU),
                nn.MaxPool2d(3, stride=2, padding=1),
            )
        else:
            self.stem = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.blocks = nn.Sequential()
        channels = width
        for index, count in enumerate(layers):
            if index:
                kept = int(channels * compression)
                self.blocks.append(Transition(channels, kept))
                channels = kept
            self.blocks.append(DenseBlock(channels, count, growth, bottleneck=bottleneck))
            channels += count * growth
        self.tail = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)
        )
        self.head = nn.Linear(channels, classes)
        kaiming_(self, mode="fan_in")
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) for images (B, in_channels, H, W)."""
        return self.head(self.tail(self.blocks(self.stem(x))).flatten(1))


def densenet121(*, classes: int = 1000, in_channels: int = 3, stem: str = "imagenet") -> DenseNet:
    """DenseNet-121: 8.0 M parameters and 2.8 G MACs at 224 pixels with 1000 classes."""
    return DenseNet(
        (6, 12, 24, 16), growth=32, width=64, classes=classes, in_channels=in_channels, stem=stem
    )


def densenet169(*, classes: int = 1000, in_channels: int = 3, stem: str = "imagenet") -> DenseNet:
    """DenseNet-169: 14.1 M parameters and 3.4 G MACs at 224 pixels with 1000 classes."""
    return DenseNet(
        (6, 12, 32, 32), growth=32, width=64, classes=classes, in_channels=in_channels, stem=stem
    )


def densenet201(*, classes: int = 1000, in_channels: int = 3, stem: str = "imagenet") -> DenseNet:
    """DenseNet-201: 20.0 M parameters and 4.3 G MACs at 224 pixels with 1000 classes."""
    return DenseNet(
        (6, 12, 48, 32), growth=32, width=64, classes=classes, in_channels=in_channels, stem=stem
    )


def densenet161(*, classes: int = 1000, in_channels: int = 3, stem: str = "imagenet") -> DenseNet:
    """DenseNet-161: 28.7 M parameters and 7.7 G MACs at 224 pixels with 1000 classes."""
    return DenseNet(
        (6, 12, 36, 24), growth=48, width=96, classes=classes, in_channels=in_channels, stem=stem
    )


def cifar_densenet(
    depth: int = 100,
    *,
    growth: int = 12,
    compression: float = 0.5,
    bottleneck: bool = True,
    classes: int = 10,
    in_channels: int = 3,
) -> DenseNet:
    """The paper's network for CIFAR (section 4): three blocks, 3x3 stem at stride 1.

    As it stands DenseNet-BC(L=100, k=12): 0.8 M parameters. ``bottleneck=False, compression=1``
    is the plain DenseNet. The stem has ``2 * growth`` channels under compression (DenseNet-C) and
    16 otherwise. Raises ValueError where ``depth`` is not 3n + 4 (6n + 4 with ``bottleneck``).
    """
    multiple = 6 if bottleneck else 3
    if depth < multiple + 4 or (depth - 4) % multiple:
        raise ValueError(
            f"depth is {depth}; with bottleneck={bottleneck} it must be {multiple}n + 4: "
            f"{multiple + 4}, {2 * multiple + 4}, ..."
        )
    return DenseNet(
        [(depth - 4) // multiple] * 3,
        growth=growth,
        width=2 * growth if compression < 1 else 16,
        classes=classes,
        in_channels=in_channels,
        stem="cifar",
        compression=compression,
        bottleneck=bottleneck,
    )
