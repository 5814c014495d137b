import pytest
import torch
from torch import nn

from nascence.reparam import RepVGGBlock, fold


def randomise(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """Give every BatchNorm other statistics and weights than the first ones."""
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            shape = layer.running_mean.shape
            layer.running_mean = torch.randn(shape, generator=generator)
            layer.running_var = 0.5 + torch.rand(shape, generator=generator)
            layer.weight.data = 1 + 0.3 * torch.randn(shape, generator=generator)
            layer.bias.data = torch.randn(shape, generator=generator)
    return model.eval()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, (1, 3), 5])
def test_a_folded_block_is_one_convolution(
    kernel_size: int | tuple[int, int], stride: int, generator: torch.Generator
) -> None:
    block = randomise(RepVGGBlock(4, 4, kernel_size, stride=stride), generator).double()
    x = torch.randn(2, 4, 9, 10, generator=generator, dtype=torch.float64)
    folded = fold(block, x)
    torch.testing.assert_close(folded(x), block(x), rtol=1e-12, atol=1e-12)
    assert len([layer for layer in folded.modules() if isinstance(layer, nn.Conv2d)]) == 1
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
