"""The MobileNet-like space against its published network and its own ones."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nascence.graph import count_macs, count_parameters
from nascence.spaces import Architecture, Mobile, SearchSpace
from nascence.spaces.mobile import MBConv

PUBLISHED = Mobile()
SMALL = Mobile(
    classes=7,
    in_channels=1,
    width=0.25,
    depths=(1, 2, 1, 2, 1, 2),
    stem_stride=1,
    strides=(1, 2, 2, 1, 2, 1),
    last=24,
)
# "Neural Architecture Search with Random Labels": the network of table 4, 473 MFLOPs there
RLNAS = "2 0 -1 2 2 0 2 4 0 4 4 2 4 2 4 2 0 0 0 2 2"
architectures = st.tuples(*(st.integers(0, len(d.choices) - 1) for d in PUBLISHED.decisions))


def test_costs_of_the_published_network() -> None:
    architecture = PUBLISHED.parse(RLNAS)
    assert PUBLISHED.format(architecture) == RLNAS
    assert PUBLISHED.macs(architecture) == pytest.approx(473e6, rel=0.005)
    with torch.device("meta"):
        model = PUBLISHED.build(architecture)
        macs = count_macs(model, torch.zeros(1, 3, 224, 224))
    assert PUBLISHED.cost(architecture) == (count_parameters(model), macs)


def test_size_and_choices_are_the_published_ones() -> None:
    assert isinstance(PUBLISHED, SearchSpace)
    assert PUBLISHED.size == 6**6 * 7**15
    without = [place for place, d in enumerate(PUBLISHED.decisions) if "identity" not in d.choices]
    assert without == [0, 4, 8, 12, 16, 20]


@pytest.mark.parametrize("side", [15, 32])
def test_costs_are_those_of_the_built_network(side: int, generator: torch.Generator) -> None:
    for _ in range(5):
        architecture = SMALL.sample(generator=generator)
        model = SMALL.build(architecture)
        macs = count_macs(model, torch.zeros(1, 1, side, side))
        assert SMALL.cost(architecture, side=side) == (count_parameters(model), macs)


def test_networks_give_classes(generator: torch.Generator) -> None:
    model = SMALL.build(SMALL.sample(generator=generator))
    assert model(torch.randn(2, 1, 16, 16, generator=generator)).shape == (2, 7)


def test_every_candidate_keeps_shapes() -> None:
    shapes: dict[str, set] = {}

    def choose(name: str, builders: Sequence[Callable[[], nn.Module]]) -> nn.Module:
        candidates = [builder().eval() for builder in builders]
        channels = next(candidates[0].parameters()).shape[1]
        images = torch.zeros(1, channels, 8, 8)
        shapes[name] = {candidate(images).shape for candidate in candidates}
        return nn.Identity()

    SMALL.network(choose)
    assert list(shapes) == [decision.name for decision in SMALL.decisions]
    assert all(len(each) == 1 for each in shapes.values())


def test_residual_is_added_where_shapes_agree() -> None:
    x = torch.randn(1, 8, 4, 4)
    block = MBConv(8, 8, kernel=3, expansion=3, stride=1).eval()
    torch.testing.assert_close(block(x) - x, block.residual(x))
    assert not MBConv(8, 8, kernel=3, expansion=3, stride=2).shortcut


@given(architecture=architectures)
def test_strings_and_json_round_trip(architecture: Architecture) -> None:
    assert PUBLISHED.parse(PUBLISHED.format(architecture)) == architecture
    assert PUBLISHED.from_json(PUBLISHED.to_json(architecture)) == architecture


@settings(max_examples=50)
@given(text=st.text(alphabet="0123456789 -,[]x", max_size=40))
def test_any_other_text_is_refused(text: str) -> None:
    for read in (PUBLISHED.parse, PUBLISHED.from_json):
        with pytest.raises(ValueError, match=r"cannot read|must be"):
            read(text)


def test_numbers_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="block_0 is -1; it must be from 0 to 5, and -1 is for"):
        PUBLISHED.parse("-1 " * 21)
    with pytest.raises(ValueError, match="block_1 is 6; it must be from -1 to 5"):
        PUBLISHED.parse("0 " + "6 " * 20)


@pytest.mark.parametrize(
    "setting",
    [
        {"classes": 0},
        {"in_channels": 1.5},
        {"width": 0},
        {"depths": (1, 2)},
        {"strides": (1, 1, 1, 1, 1, 3)},
        {"stem_stride": 4},
        {"last": 0},
        {"dropout": 1.0},
    ],
)
def test_impossible_settings_are_refused(setting: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        Mobile(**setting)


def test_descriptions_tell_settings_apart() -> None:
    assert Mobile(width=1).description == PUBLISHED.description
    assert Mobile(dropout=0.0).description != PUBLISHED.description
