"""A small problem for every test of the training loop."""

from collections.abc import Callable

import pytest
from torch import nn

from nascence.core.randomness import seeded
from nascence.data import Dataset
from tests.datasets_for_tests import bright_or_dark


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


@pytest.fixture(name="bright_or_dark")
def _bright_or_dark() -> Callable[..., Dataset]:
    return bright_or_dark


@pytest.fixture
def network() -> Callable[..., nn.Module]:
    return _network
