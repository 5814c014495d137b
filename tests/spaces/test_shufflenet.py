"""The ShuffleNetV2 space of SPOS against its published network and its own ones."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.graph import count_macs, count_parameters
from nascence.spaces import Architecture, SearchSpace, ShuffleNetSpace
from nascence.spaces.shufflenet import UNITS, Unit, unit, unit_cost

PUBLISHED = ShuffleNetSpace()
SMALL = ShuffleNetSpace(
    classes=7,
    in_channels=1,
    width=0.125,
    depths=(1, 2, 2, 1),
    stem_stride=1,
    strides=(1, 2, 2, 2),
    last=24,
)
# The authors' searched network: 323 MFLOPs, 3.5 M parameters, top-1 error 25.6
SEARCHED = (2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3)
architectures = st.tuples(*(st.integers(0, 3) for _ in range(20)))


def test_costs_of_the_published_network() -> None:
    assert PUBLISHED.parse(str(SEARCHED)) == SEARCHED
    assert round(PUBLISHED.macs(SEARCHED) / 1e6) == 323
    assert int(PUBLISHED.parameters(SEARCHED) / 1e5) == 35
    with torch.device("meta"):
        model = PUBLISHED.build(SEARCHED)
        macs = count_macs(model, torch.zeros(1, 3, 224, 224))
    assert PUBLISHED.cost(SEARCHED) == (count_parameters(model), macs)


def test_most_paths_have_the_published_costs(generator: torch.Generator) -> None:
    """SPOS, section 4.1 of its code: paths are drawn from bins within 290 to 360 MFLOPs."""
    costs = [PUBLISHED.macs(PUBLISHED.sample(generator=generator)) for _ in range(1000)]
    assert sum(290e6 <= cost <= 360e6 for cost in costs) > 950


def test_size_is_the_published_one() -> None:
    assert isinstance(PUBLISHED, SearchSpace)
    assert PUBLISHED.size == 4**20


@pytest.mark.parametrize("side", [17, 32])
def test_costs_are_those_of_the_built_network(side: int, generator: torch.Generator) -> None:
    for _ in range(5):
        architecture = SMALL.sample(generator=generator)
        model = SMALL.build(architecture)
        macs = count_macs(model, torch.zeros(1, 1, side, side))
        assert SMALL.cost(architecture, side=side) == (count_parameters(model), macs)


def test_networks_give_classes(generator: torch.Generator) -> None:
    model = SMALL.build(SMALL.sample(generator=generator))
    assert model(torch.randn(2, 1, 16, 16, generator=generator)).shape == (2, 7)


@pytest.mark.parametrize("choice", UNITS)
@pytest.mark.parametrize(("first", "stride"), [(True, 1), (True, 2), (False, 1)])
def test_every_unit_keeps_shapes_and_has_its_cost(choice: str, first: bool, stride: int) -> None:
    before, after = (8, 24) if first else (24, 24)
    block, images = (
        unit(choice, before, after, first=first, stride=stride),
        torch.zeros(1, before, 9, 9),
    )
    out = -(-9 // stride)
    assert block.eval()(images).shape == (1, after, out, out)
    cost = unit_cost(choice, before, after, first=first, side=9, out=out)
    assert cost == (count_parameters(block), count_macs(block, images))


def test_even_channels_pass_untouched() -> None:
    x = torch.randn(1, 8, 4, 4)
    y = unit("xception", 8, 8, first=False, stride=1).eval()(x)
    assert torch.equal(y[:, :4], x[:, [0, 2, 4, 6]])


def test_two_units_mix_both_halves() -> None:
    """What the branch of a block gave is half of what the next one's branch sees."""
    x = torch.arange(8.0).view(1, 8, 1, 1)
    passing = Unit(None, torch.nn.Identity())
    assert passing(x).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert passing(passing(x)).flatten().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


@given(architecture=architectures)
def test_strings_and_json_round_trip(architecture: Architecture) -> None:
    assert PUBLISHED.parse(PUBLISHED.format(architecture)) == architecture
    assert PUBLISHED.from_json(PUBLISHED.to_json(architecture)) == architecture


@settings(max_examples=50)
@given(text=st.text(alphabet="0123456789 -,[]x", max_size=38))
def test_any_other_text_is_refused(text: str) -> None:
    for read in (PUBLISHED.parse, PUBLISHED.from_json):
        with pytest.raises(ValueError, match=r"cannot read|must be"):
            read(text)


def test_numbers_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="block_19 is 4; it must be from 0 to 3"):
        PUBLISHED.parse("0 " * 19 + "4")


@pytest.mark.parametrize(
    "setting",
    [
        {"classes": 0},
        {"in_channels": 1.5},
        {"width": 0},
        {"depths": (1, 2)},
        {"strides": (1, 1, 1, 3)},
        {"stem_stride": 4},
        {"last": 0},
        {"dropout": 1.0},
    ],
)
def test_impossible_settings_are_refused(setting: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        ShuffleNetSpace(**setting)
