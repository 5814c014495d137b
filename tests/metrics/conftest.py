"""Small networks of many kinds for the scores."""

import pytest
import torch
from torch import Tensor, nn

from nascence.metrics import Batch


class Residual(nn.Module):
    """A branch beside its input, with BatchNorm or without."""

    def __init__(self, channels: int, *, norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=not norm),
            nn.BatchNorm2d(channels) if norm else nn.Identity(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def residual_network(*, norm: bool, seed: int = 0) -> nn.Sequential:
    """Two residual blocks for images of 3 channels, 4 classes."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1),
        nn.BatchNorm2d(5) if norm else nn.Identity(),
        Residual(5, norm=norm),
        nn.AvgPool2d(2),
        Residual(5, norm=norm),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 4),
    )


@pytest.fixture(params=[True, False], ids=["with BatchNorm", "without"])
def network(request: pytest.FixtureRequest) -> nn.Sequential:
    return residual_network(norm=request.param)


@pytest.fixture
def small_batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 3, 8, 8, generator=generator), torch.tensor([0, 1, 2, 3, 0, 1])
