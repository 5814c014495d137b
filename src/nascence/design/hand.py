"""The networks that a practitioner would take: what a designed one is compared with."""

import torch
from torch import nn

from nascence.core.randomness import seeded
from nascence.graph import count_macs
from nascence.models import ResNet, resnet18
from nascence.models.resnet import BasicBlock

SMALL = 40
"""Pixels up to which an image keeps its size in the stem."""
WIDTHS = (8, 12, 16, 24, 32, 48, 64)


def hand_design(
    width: int, *, classes: int, image_shape: tuple[int, int, int], seed: int = 0
) -> ResNet:
    """A small residual network (He et al., CVPR 2016): one block for each of its stages.

    Up to 40 pixels it has the stem and the three stages of the networks for CIFAR, above the stem
    and the four stages of those for ImageNet; each stage is twice as wide as the one before.

    Args:
        width: Channels of the first stage.
        classes: Outputs.
        image_shape: ``(C, H, W)``.
        seed: Seed of the weights.
    """
    small = max(image_shape[1:]) <= SMALL
    widths = [width << stage for stage in range(3 if small else 4)]
    with seeded(seed):
        return ResNet(
            BasicBlock,
            [1] * len(widths),
            widths,
            classes=classes,
            in_channels=image_shape[0],
            stem="cifar" if small else "imagenet",
        )


def width_of_macs(macs: int, *, classes: int, image_shape: tuple[int, int, int]) -> int:
    """The width for which :func:`hand_design` has about ``macs`` multiply-adds for one image."""

    def distance(width: int) -> float:
        network = hand_design(width, classes=classes, image_shape=image_shape)
        return abs(count_macs(network, torch.zeros(1, *image_shape)) - macs)

    return min(WIDTHS, key=distance)


def stock_resnet18(*, classes: int, image_shape: tuple[int, int, int], seed: int = 0) -> nn.Module:
    """ResNet-18 as it comes, for images ``(C, H, W)`` of any size."""
    with seeded(seed):
        return resnet18(classes=classes, in_channels=image_shape[0])
