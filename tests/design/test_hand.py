"""What a practitioner would take."""

import pytest
import torch

from nascence.design.hand import WIDTHS, hand_design, stock_resnet18, width_of_macs
from nascence.graph import count_macs


@pytest.mark.parametrize(("side", "stages"), [(32, 3), (64, 4)])
def test_the_network_suits_the_size_of_its_images(side: int, stages: int) -> None:
    network = hand_design(8, classes=5, image_shape=(1, side, side), seed=1)
    assert len(network.stages) == stages
    assert network(torch.zeros(2, 1, side, side)).shape == (2, 5)
    again = hand_design(8, classes=5, image_shape=(1, side, side), seed=1)
    for one, two in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("width", [WIDTHS[0], 24, WIDTHS[-1]])
def test_the_width_of_its_own_cost_is_found(width: int) -> None:
    shape = (3, 32, 32)
    network = hand_design(width, classes=4, image_shape=shape)
    macs = count_macs(network, torch.zeros(1, *shape))
    assert width_of_macs(macs, classes=4, image_shape=shape) == width


def test_resnet18_is_the_stock_one() -> None:
    network = stock_resnet18(classes=1000, image_shape=(3, 224, 224))
    assert sum(each.numel() for each in network.parameters()) == 11_689_512
