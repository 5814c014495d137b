"""Multiscale deep equilibrium models: Bai, Koltun, Kolter 2020, arXiv 2006.08656."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.implicit.backward import Backward, Solver
from nascence.implicit.deq import DEQ
from nascence.implicit.mdeq_cell import MDEQCell, Streams


def _conv_norm(
    source: int, target: int, kernel: int = 1, *, stride: int = 1, bias: bool = False
) -> nn.Sequential:
    """Convolution, BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(source, target, kernel, stride=stride, padding=kernel // 2, bias=bias),
        nn.BatchNorm2d(target),
        nn.ReLU(),
    )


class _Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions and a projected shortcut; four times ``channels`` out."""

    def __init__(self, source: int, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_conv_norm(source, channels),
            *_conv_norm(channels, channels, 3),
            *list(_conv_norm(channels, 4 * channels))[:2],
        )
        self.shortcut = nn.Sequential(*list(_conv_norm(source, 4 * channels))[:2])

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.residual(x) + self.shortcut(x))


class MDEQBackbone(nn.Module):
    """Stem and equilibrium: images (B, in_channels, H, W) to streams of falling resolution.

    Stream i has ``channels[i]`` channels and 1 / 2^(i + halvings) of the size: ``halvings`` is 0
    for images of about 32 pixels and 2 for large ones. The solver's settings are those of
    :class:`DEQ`; the published ones stop after 18 evaluations and do not check convergence, so
    samples that are cut off give no warning here.

    Raises:
        ValueError: ``channels`` is empty, or one is no multiple of ``groups``.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        in_channels: int = 3,
        halvings: int = 0,
        expansion: int = 5,
        groups: int = 8,
        dropout: float = 0.0,
        solver: str | Solver = "anderson",
        backward: str | Backward = "phantom",
        tol: float | None = 1e-3,
        max_iter: int = 18,
    ) -> None:
        super().__init__()
        if not channels or any(width % groups for width in channels):
            raise ValueError(
                f"channels are {tuple(channels)}; each must be a multiple of groups, {groups}"
            )
        first = channels[0]
        strides = [2 if index < halvings else 1 for index in range(2)]
        self.stem = nn.Sequential(
            *_conv_norm(in_channels, first, 3, stride=strides[0]),
            *_conv_norm(first, first, 3, stride=strides[1]),
        )
        if halvings or len(channels) > 2:
            self.stem.extend(_conv_norm(first, first))
        for module in self.stem.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.01)
        cell = MDEQCell(channels, expansion=expansion, groups=groups, dropout=dropout)
        self.equilibrium = DEQ(
            cell, solver=solver, backward=backward, tol=tol, max_iter=max_iter, warn=False
        )

    def forward(self, images: Tensor, z0: Streams | None = None) -> Streams:
        """Return the streams ``(B, channels[i], H_i, W_i)``, solved from ``z0`` if it is given."""
        streams = self.equilibrium(self.stem(images), z0=z0)
        assert isinstance(streams, tuple)
        return streams


class MDEQClassifier(nn.Module):
    """Images (B, in_channels, H, W) to scores (B, classes), from all streams: section 3.3.

    Stream i becomes 4 ``head_channels[i]`` channels wide; each is halved and added to the next
    lower one, and the lowest is widened to ``final_channels`` and averaged.

    Raises:
        ValueError: ``classes`` is below 1.
    """

    def __init__(
        self,
        backbone: MDEQBackbone,
        *,
        classes: int,
        head_channels: Sequence[int],
        final_channels: int,
    ) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError(f"classes is {classes}; it must be at least 1")
        self.backbone = backbone
        cell = backbone.equilibrium.cell
        assert isinstance(cell, MDEQCell)
        self.widen = nn.ModuleList(map(_Bottleneck, cell.channels, head_channels))
        wide = [4 * width for width in head_channels]
        self.down = nn.ModuleList(
            _conv_norm(source, target, 3, stride=2, bias=True) for source, target in pairwise(wide)
        )
        self.final = _conv_norm(wide[-1], final_channels, bias=True)
        self.head = nn.Linear(final_channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores ``(B, classes)`` of images ``(B, in_channels, H, W)``."""
        streams = self.backbone(images)
        wide = [widen(stream) for widen, stream in zip(self.widen, streams, strict=True)]
        y = wide[0]
        for down, stream in zip(self.down, wide[1:], strict=True):
            y = stream + down(y)
        return self.head(self.final(y).mean((2, 3)))


class MDEQSegmenter(nn.Module):
    """Images (B, in_channels, H, W) to a score of each class and pixel (B, classes, H, W).

    All streams, interpolated to the highest resolution, pass two 1x1 convolutions: section 4.3.

    Raises:
        ValueError: ``classes`` is below 1.
    """

    def __init__(self, backbone: MDEQBackbone, *, classes: int) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError(f"classes is {classes}; it must be at least 1")
        self.backbone = backbone
        cell = backbone.equilibrium.cell
        assert isinstance(cell, MDEQCell)
        width = sum(cell.channels)
        self.head = nn.Sequential(
            *_conv_norm(width, width, bias=True), nn.Conv2d(width, classes, 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return scores ``(B, classes, H, W)`` of images ``(B, in_channels, H, W)``."""
        streams = self.backbone(images)
        resize = partial(F.interpolate, mode="bilinear", align_corners=False)
        size = streams[0].shape[2:]
        scores = self.head(torch.cat([resize(stream, size=size) for stream in streams], dim=1))
        return scores if size == images.shape[2:] else resize(scores, size=images.shape[2:])


def mdeq_tiny(*, classes: int = 10, in_channels: int = 3, dropout: float = 0.25) -> MDEQClassifier:
    """The published tiny network for CIFAR: two streams, 0.159 M parameters with 10 classes."""
    return MDEQClassifier(
        MDEQBackbone((24, 24), in_channels=in_channels, dropout=dropout),
        classes=classes,
        head_channels=(8, 16),
        final_channels=200,
    )


def mdeq_large(*, classes: int = 10, in_channels: int = 3, dropout: float = 0.3) -> MDEQClassifier:
    """The published large network for CIFAR: four streams, 11.1 M parameters with 10 classes."""
    return MDEQClassifier(
        MDEQBackbone((32, 64, 128, 256), in_channels=in_channels, dropout=dropout),
        classes=classes,
        head_channels=(14, 28, 56, 112),
        final_channels=1680,
    )


def mdeq_small(*, classes: int = 1000, in_channels: int = 3) -> MDEQClassifier:
    """The published small network for ImageNet: four streams, 16.8 M parameters."""
    return MDEQClassifier(
        MDEQBackbone(
            (32, 64, 128, 256), in_channels=in_channels, halvings=2, tol=1e-3, max_iter=26
        ),
        classes=classes,
        head_channels=(24, 48, 96, 192),
        final_channels=2048,
    )
