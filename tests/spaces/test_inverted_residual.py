"""The block of MobileNetV3 against its formula and its costs."""

import pytest
import torch
from torch.nn import functional

from nascence.graph import count_macs, count_parameters
from nascence.spaces.inverted_residual import (
    InvertedResidual,
    SqueezeExcitation,
    block_cost,
    divisible,
    squeezed,
)


@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize(("kernel", "expansion", "stride"), [(3, 1, 1), (5, 3, 2), (7, 2, 1)])
def test_costs_are_those_of_the_block(
    kernel: int, expansion: int, stride: int, squeeze: bool
) -> None:
    settings = {"kernel": kernel, "expansion": expansion, "squeeze": squeeze}
    block = InvertedResidual(16, 24, stride=stride, **settings)
    images = torch.zeros(1, 16, 9, 9)
    out = block.eval()(images).shape[-1]
    assert out == -(-9 // stride)
    expected = count_parameters(block), count_macs(block, images)
    assert block_cost(16, 24, side=9, out=out, **settings) == expected


def test_residual_is_added_where_shapes_agree() -> None:
    x = torch.randn(2, 8, 4, 4)
    block = InvertedResidual(8, 8, kernel=3, expansion=2, stride=1, hard_swish=True).eval()
    torch.testing.assert_close(block(x) - x, block.residual(x))
    assert not InvertedResidual(8, 8, kernel=3, expansion=2, stride=2).shortcut
    assert not InvertedResidual(8, 16, kernel=3, expansion=2, stride=1).shortcut


def test_squeeze_and_excitation_written_out() -> None:
    module, x = SqueezeExcitation(32), torch.randn(3, 32, 5, 5)
    means = x.mean((2, 3))
    middle = functional.relu(means @ module.reduce.weight[:, :, 0, 0].T + module.reduce.bias)
    scale = middle @ module.restore.weight[:, :, 0, 0].T + module.restore.bias
    scale = (scale / 6 + 0.5).clamp(0, 1)
    torch.testing.assert_close(module(x), x * scale[:, :, None, None])


def test_channels_are_multiples_of_eight() -> None:
    assert [divisible(value) for value in (1, 11, 12, 13.4, 26.7, 30, 240)] == [
        8, 16, 16, 16, 32, 32, 240,
    ]  # fmt: skip
    assert squeezed(72) == 24
    assert squeezed(120) == 32
