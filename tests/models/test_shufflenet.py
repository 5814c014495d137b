"""ShuffleNets against torchvision's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nascence import models
from nascence.graph import count_parameters
from nascence.models.shufflenet import channel_shuffle

NAMES = {
    0.5: "shufflenet_v2_x0_5",
    1.0: "shufflenet_v2_x1_0",
    1.5: "shufflenet_v2_x1_5",
    2.0: "shufflenet_v2_x2_0",
}


@pytest.mark.parametrize("width", list(NAMES))
def test_parameters_equal_torchvisions(width: float, torchvision_models) -> None:
    with torch.device("meta"):
        ours = models.shufflenet_v2(width=width)
        theirs = getattr(torchvision_models, NAMES[width])()
    assert count_parameters(ours) == count_parameters(theirs)


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_function_equals_torchvisions(
    width: float, torchvision_models, transplant, generator: torch.Generator
) -> None:
    ours = models.shufflenet_v2(classes=7, width=width)
    theirs = getattr(torchvision_models, NAMES[width])(num_classes=7)
    transplant(theirs, ours)
    images = torch.randn(2, 3, 75, 64, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


@given(st.integers(1, 5), st.integers(1, 5))
def test_shuffle_moves_each_channel_where_it_says(groups: int, each: int) -> None:
    channels = groups * each
    x = torch.arange(channels, dtype=torch.float32).view(1, channels, 1, 1)
    y = channel_shuffle(x, groups).flatten().tolist()
    for group in range(groups):
        for index in range(each):
            assert y[index * groups + group] == group * each + index
    assert torch.equal(channel_shuffle(channel_shuffle(x, groups), each), x)


def test_cifar_stem_keeps_the_size() -> None:
    network = models.shufflenet_v2(stem="cifar").eval()
    stem = network.stem(torch.zeros(1, 3, 32, 32))
    assert stem.shape == (1, 24, 32, 32)
    assert network.stages(stem).shape == (1, 464, 4, 4)


def test_errors_name_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"width is 0.75; use one of 0.5, 1.0, 1.5, 2.0"):
        models.shufflenet_v2(width=0.75)
    with pytest.raises(ValueError, match="stem is 'tiny'"):
        models.shufflenet_v2(stem="tiny")
