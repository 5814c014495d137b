"""A small problem for every test of the training loop."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from nascence.core.randomness import seeded
from nascence.data import Dataset, Split


def _bright_or_dark(images: int = 64, side: int = 8) -> Dataset:
    """Two classes that differ in brightness."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(images) % 2
    noise = torch.randint(0, 100, (images, 3, side, side), generator=generator)
    split = Split((noise + 100 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels)
    return Dataset(
        name="brightness",
        train=split,
        validation=split,
        class_names=("dark", "bright"),
        mean=(0.4,) * 3,
        std=(0.25,) * 3,
        skipped=(),
        fingerprint=f"brightness {images} {side}",
    )


def _network(*, dropout: float = 0.0) -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 2),
        )


@pytest.fixture
def bright_or_dark() -> Callable[..., Dataset]:
    return _bright_or_dark


@pytest.fixture
def network() -> Callable[..., nn.Module]:
    return _network
