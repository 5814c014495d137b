"""What the tests of folding share."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture
def randomise() -> Callable[[nn.Module], nn.Module]:
    """Give every BatchNorm other statistics and weights than the first ones."""

    def change(model: nn.Module, seed: int = 0) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        for layer in model.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.affine:
                shape = layer.running_mean.shape
                layer.running_mean.copy_(torch.randn(shape, generator=generator))
                layer.running_var.copy_(0.5 + torch.rand(shape, generator=generator))
                layer.weight.data.copy_(1 + 0.3 * torch.randn(shape, generator=generator))
                layer.bias.data.copy_(torch.randn(shape, generator=generator))
        return model.eval()

    return change


@pytest.fixture
def distance() -> Callable[[Tensor, Tensor], float]:
    """‖a - b‖ / ‖b‖ in float64."""

    def measure(a: Tensor, b: Tensor) -> float:
        assert a.shape == b.shape
        a, b = a.detach().double(), b.detach().double()
        return float((a - b).norm() / b.norm())

    return measure
