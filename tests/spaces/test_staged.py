"""Staged networks against networks that are built, counted and folded."""

import pytest
import torch

from nascence.graph import count_macs, count_parameters
from nascence.reparam import RepVGGBlock, fold
from nascence.spaces import StagedSpace

SPACE = StagedSpace(classes=5, widths=(16, 32), depths=(0, 1, 2), branched=RepVGGBlock)
FOLDED = StagedSpace(classes=5, widths=(16, 32), depths=(0, 1, 2), folded=True)
LINE = "stem2;16x1 residual;32x2 plain;32x0 plain"


@pytest.mark.parametrize("side", [8, 13, 32])
@pytest.mark.parametrize("branched", [None, RepVGGBlock])
@pytest.mark.parametrize("folded", [False, True])
def test_costs_are_those_of_the_built_network(
    side: int, branched: type | None, folded: bool, generator: torch.Generator
) -> None:
    space = StagedSpace(
        classes=7, in_channels=1, widths=(16, 32), depths=(0, 1), branched=branched, folded=folded
    )
    for _ in range(8):
        architecture = space.sample(generator=generator)
        model = space.build(architecture)
        assert space.parameters(architecture) == count_parameters(model)
        assert space.macs(architecture, side=side) == count_macs(
            model, torch.zeros(1, 1, side, side)
        )


@pytest.mark.parametrize("block", ["plain", "residual", "inverted", "branched"])
@pytest.mark.parametrize("stem", [1, 2, 4])
def test_folding_leaves_the_network_of_the_folded_space(block: str, stem: int) -> None:
    line = f"stem{stem};16x1 {block};16x1 {block};32x0 plain"
    model = SPACE.build(SPACE.parse(line)).eval()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():  # biases of zero would be left out
        for value in (*model.parameters(), *model.buffers()):
            if value.ndim == 1:
                value.uniform_(0.5, 1.5)
    folded = fold(model, images)
    architecture = FOLDED.parse(line)
    assert count_parameters(folded) == FOLDED.parameters(architecture)
    assert count_macs(folded, images[:1]) == FOLDED.macs(architecture, side=16)
    torch.testing.assert_close(folded(images), model(images), rtol=1e-4, atol=1e-5)


def test_a_stem_and_two_stages_divide_the_side() -> None:
    """Stride 4, then two stages of stride 2: 32 pixels become 8, 4 and 2."""
    architecture = SPACE.parse("stem4;16x1 plain;32x1 plain;32x1 plain")
    assert [each.side for each in SPACE.operators(architecture, side=32)] == [32, 8, 8, 4, 4, 2]
    model = SPACE.build(architecture)
    maps = model[:3](torch.zeros(2, 3, 32, 32))
    assert maps.shape == (2, 32, 2, 2)


def test_an_operator_is_timed_on_the_shapes_that_it_has_in_the_network() -> None:
    for operator in SPACE.operators(SPACE.parse(LINE.replace("plain", "inverted"))):
        images = torch.zeros(2, operator.in_channels, operator.side, operator.side)
        assert SPACE.module(operator)(images).shape == (
            2,
            operator.out_channels,
            operator.out,
            operator.out,
        )


def test_the_block_of_a_stage_without_blocks_does_not_show() -> None:
    first, second = (
        SPACE.parse(LINE.replace("0 plain", f"0 {kind}")) for kind in ("plain", "branched")
    )
    assert first != second
    assert SPACE.canonical(first) == SPACE.canonical(second) == first
    assert SPACE.built(first) == (True,) * 9 + (False,)


def test_a_line_reads_as_what_was_meant() -> None:
    assert SPACE.values(SPACE.parse(LINE)) == {
        "stem": 2,
        "width_1": 16,
        "depth_1": 1,
        "block_1": "residual",
        "width_2": 32,
        "depth_2": 2,
        "block_2": "plain",
        "width_3": 32,
        "depth_3": 0,
        "block_3": "plain",
    }
    with pytest.raises(ValueError, match="width_2 is '17'; use one of 16, 32"):
        SPACE.parse(LINE.replace("32x2", "17x2"))
    with pytest.raises(ValueError, match="its form is stem2 and 3 stages"):
        SPACE.parse("stem2;16x1 plain")


def test_large_images_have_one_more_stage() -> None:
    sides = {side: StagedSpace.for_images((3, side, side), classes=4) for side in (32, 64, 224)}
    assert [space.stages for space in sides.values()] == [3, 4, 4]
    assert sides[224].default_side == 224


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stages": 0}, "1 to 6 stages"),
        ({"stems": (3,)}, "stems of"),
        ({"widths": (0,)}, "width is 0"),
        ({"depths": ()}, "depths are"),
    ],
)
def test_settings_without_a_network_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StagedSpace(**settings)
