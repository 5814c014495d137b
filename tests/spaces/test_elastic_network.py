"""What networks of an elastic space are put together from."""

import torch

from nascence.spaces import ElasticMobile, Stage
from nascence.spaces.elastic_network import assembled, network_costs, plain_block, resized

SPACE = ElasticMobile(
    classes=3, stages=(Stage(8, 1), Stage(16, 2, True)), resolutions=(8, 12), final=8, last=8
)


def test_a_network_has_the_blocks_up_to_each_depth() -> None:
    architecture = SPACE.parse("r8 k3e3 k5e4 (k7e6) (k7e6) | k3e6 k3e6 k7e3 (k3e3)")
    model = assembled(SPACE.geometry, SPACE.setting(architecture), plain_block)
    assert [len(stage) for stage in model.stages] == [2, 3]
    kernels = [[block.residual.depthwise[0].kernel_size[0] for block in s] for s in model.stages]
    hidden = [[block.residual.depthwise[0].out_channels for block in s] for s in model.stages]
    assert kernels == [[3, 5], [3, 3, 7]]
    assert hidden == [[48, 32], [48, 96, 48]]  # the stem has 16 channels
    assert model.resize.side == 8


def test_costs_grow_with_the_side() -> None:
    choices = {"kernels": SPACE.kernels, "expansions": SPACE.expansions}
    stages = SPACE.setting(SPACE.largest).stages
    costs = [network_costs(SPACE.geometry, side, **choices).of(stages) for side in (8, 16)]
    assert costs[0].parameters == costs[1].parameters
    assert costs[0].macs < costs[1].macs < 4.1 * costs[0].macs


def test_images_of_the_right_side_stay_as_they_are() -> None:
    images = torch.randn(2, 3, 8, 6)
    assert resized(images, 8) is images
    assert resized(images, 4).shape == (2, 3, 4, 3)
