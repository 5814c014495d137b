"""Expanded networks keep their function and fold back."""

import pytest
import torch
from torch import nn

from nascence.graph import count_parameters
from nascence.reparam import (
    DiverseBranchBlock,
    RepVGGBlock,
    expand,
    fold,
)
from tests.reparam.blocks_for_tests import BLOCKS


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False, groups=2),
        nn.ReLU(),
        nn.Conv2d(8, 8, 5, padding=1, dilation=2),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU(),
        nn.Conv2d(8, 4, 1),
    ).eval()


def shapes(model: nn.Module) -> list[tuple[object, ...]]:
    """Geometry of each convolution, in order."""
    return [
        (tuple(m.weight.shape), m.stride, m.padding, m.dilation, m.groups)
        for m in model.modules()
        if isinstance(m, nn.Conv2d)
    ]


@pytest.mark.parametrize("block", BLOCKS)
def test_function_at_the_start_and_architecture_at_the_end(block, distance) -> None:
    model, x = network(), torch.randn(2, 3, 20, 20)
    wide = expand(model, block, generator=torch.Generator().manual_seed(1))
    assert sum(isinstance(m, block) for m in wide.modules()) == 4
    assert distance(wide(x), model(x)) < 1e-5
    assert count_parameters(wide) > count_parameters(model)
    folded = fold(wide, x)
    assert distance(folded(x), model(x)) < 1e-5
    assert shapes(folded) == shapes(fold(model, x))


def test_expanded_networks_train_and_fold(distance) -> None:
    model = expand(network(), DiverseBranchBlock).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    x = torch.randn(4, 3, 20, 20)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    model.eval()
    assert distance(fold(model, x)(x), model(x)) < 1e-5


def test_the_drawn_weights_come_from_the_generator() -> None:
    def seeded() -> nn.Module:
        return expand(network(), RepVGGBlock, generator=torch.Generator().manual_seed(3))

    one, two = seeded().state_dict(), seeded().state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_shared_convolution_stays_shared() -> None:
    layer = nn.Conv2d(4, 4, 3, padding=1)
    wide = expand(nn.Sequential(layer, nn.ReLU(), layer).eval(), RepVGGBlock)
    assert wide[0] is wide[2]


def test_nothing_to_expand_is_an_error() -> None:
    with pytest.raises(ValueError, match="no plain convolution"):
        expand(nn.Sequential(nn.Conv2d(3, 3, 1)), RepVGGBlock)
    accepted = expand(nn.Sequential(nn.Conv2d(3, 3, 1)), RepVGGBlock, accepts=lambda layer: True)
    assert isinstance(accepted[0].block, RepVGGBlock)


def test_hooks_of_a_convolution_stay_and_computed_weights_too() -> None:
    convolution, computed = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
    torch.nn.utils.spectral_norm(computed)
    shapes: list[torch.Size] = []
    convolution.register_forward_hook(lambda m, args, output: shapes.append(output.shape))
    model = nn.Sequential(convolution, computed).eval()
    x = torch.randn(1, 3, 8, 8)
    expanded = expand(model, RepVGGBlock)
    torch.testing.assert_close(expanded(x), model(x))
    assert shapes == [(1, 4, 6, 6)] * 2
    assert type(expanded[1]) is nn.Conv2d
