"""Stages of blocks: channels, strides and the space for images of a shape."""

import pytest
import torch

from nascence.spaces import BlockSpace, Mobile, ShuffleNetSpace


@pytest.mark.parametrize("kind", [Mobile, ShuffleNetSpace])
@pytest.mark.parametrize(("side", "left"), [(224, 7), (128, 4), (64, 4), (32, 4)])
def test_images_of_any_side_leave_enough_pixels(
    kind: type[BlockSpace], side: int, left: int
) -> None:
    space = kind.for_images((1, side, side + 8), classes=3, width=0.1, last=8)
    assert (space.default_side, space.in_channels, space.classes) == (side, 1, 3)
    pixels = -(-side // space.stem_stride)
    for stride in space.strides:
        pixels = -(-pixels // stride)
    assert pixels == left
    model = space.build(space.sample(generator=torch.Generator().manual_seed(0))).eval()
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 3)


def test_published_settings_are_the_default() -> None:
    assert len(Mobile().decisions) == 21
    assert len(ShuffleNetSpace().decisions) == 20
    assert Mobile(depths=(1,) * 6).depths == (1,) * 6
    assert ShuffleNetSpace(dropout=0.0).dropout == 0


@pytest.mark.parametrize("kind", [Mobile, ShuffleNetSpace])
@pytest.mark.parametrize(("side", "left"), [(8, 1), (16, 2), (32, 4), (63, 8), (64, 4), (128, 4)])
def test_strides_for_small_images(kind: type[BlockSpace], side: int, left: int) -> None:
    published = kind()
    settings = kind.strides_for(side)
    assert kind.strides_for(224) == {
        "stem_stride": published.stem_stride,
        "strides": published.strides,
    }
    for stride in (settings["stem_stride"], *settings["strides"]):
        side = -(-side // stride)
    assert side == left
    assert kind(side=32).macs((0,) * len(published.decisions)) == published.macs(
        (0,) * len(published.decisions), side=32
    )
    with pytest.raises(ValueError, match="side is 0"):
        kind(side=0)
