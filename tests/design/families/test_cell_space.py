"""Cost of cells worked by hand, their scores and latencies."""

import math
from pathlib import Path

import pytest
import torch

from nascence.core.randomness import derived_seed
from nascence.data import Dataset
from nascence.design import recipe
from nascence.design.families import cell_space
from nascence.metrics import naswot
from nascence.search import LimitError

CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_1x1~1|none~2|;width=8;cells=2"
DEAD = "|none~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|;width=8;cells=2"


@pytest.fixture
def cost(tmp_path: Path) -> cell_space.Cost:
    space = cell_space.deployed_space_of(classes=3, in_channels=3)
    measured = tmp_path / "latencies.json"
    return cell_space.Cost(space, block="identity", side=8, in_channels=3, measured=measured)


def test_work_of_a_hand_worked_cell(cost: cell_space.Cost) -> None:
    architecture = cost.space.parse(CELL)
    first = 8 * 8 * 8
    maps = 4 + 4 + 1  # a 3x3 and a 1x1 convolution and a skip connection
    cells = 2 * maps * (first + first / 2 + first / 4)
    fixed = 2 * first + 10 * (first / 2 + first / 4)
    expected = cost.macs(architecture) + recipe.VALUE_COST * (cells + fixed)
    assert cost.work(architecture) == expected


def test_dead_edges_are_no_work(cost: cell_space.Cost) -> None:
    alive = cost.space.parse(DEAD.replace("nor_conv_3x3", "none"))
    assert cost.work(cost.space.parse(DEAD)) == cost.work(alive)


def test_score_is_codes_per_image_and_macs(cost: cell_space.Cost, noise: Dataset) -> None:
    space = cell_space.space_of("identity", classes=3, in_channels=3)
    batch = noise.batch(12, generator=torch.Generator().manual_seed(1))
    architecture = space.parse(CELL)
    model = cell_space.build(
        space, architecture, seed=derived_seed(5, *architecture, derivation="search")
    )
    expected = naswot(model, batch) / 12 + math.log(cost.macs(architecture))
    assert cell_space.Score(space, cost, batch, seed=5)(architecture) == pytest.approx(expected)


def test_latencies_are_measured_once_and_kept(cost: cell_space.Cost) -> None:
    architecture = cost.space.parse(CELL)
    first = cost.latency_ms(architecture)
    assert first > 0
    again = cell_space.Cost(
        cost.space, block="identity", side=8, in_channels=3, measured=cost._file
    )
    assert again.latency_ms(architecture) == first


def test_what_is_too_large_is_not_measured(cost: cell_space.Cost) -> None:
    least = cost.parameters(cost.space.parse(cell_space.SMALLEST))
    limits = cost.limits(work=1e9, parameters=least, latency_ms=1e6)
    measured = dict(cost._measured)
    assert not limits(cost.space.parse(CELL))
    assert cost._measured == measured
    assert cost.limits(work=1e9, parameters=None, latency_ms=1e6)(cost.space.parse(CELL))
    assert cost._measured.keys() - measured.keys() == {CELL}


def test_measuring_ends_for_good(cost: cell_space.Cost) -> None:
    known, asked = cost.space.parse(CELL), cost.space.parse(DEAD)
    first = cost.latency_ms(known)
    for seconds in (0.0, math.inf):  # a resumed search decides as the one before it
        late = cell_space.Cost(
            cost.space,
            block="identity",
            side=8,
            in_channels=3,
            measured=cost._file,
            seconds=seconds,
        )
        assert late.latency_ms(known) == first
        assert late.latency_ms(asked) == math.inf


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"parameters": 5, "latency_ms": None}, r"--max-params 5: the smallest has [\d,]+ param"),
        ({"parameters": None, "latency_ms": 1e-6}, r"--max-latency-ms 1e-06: .* takes [\d.]+ ms"),
    ],
)
def test_an_impossible_limit_is_said_at_once(
    cost: cell_space.Cost, limits: dict, message: str
) -> None:
    with pytest.raises(LimitError, match=message):
        cost.limits(work=1e9, **limits)


def test_no_network_has_fewer_parameters_than_the_smallest(cost: cell_space.Cost) -> None:
    generator = torch.Generator().manual_seed(0)
    smallest = cost.space.parse(cell_space.SMALLEST)
    assert cell_space.is_connected(cost.space, smallest)
    for _ in range(100):
        other = cost.space.sample(generator=generator)
        assert cost.parameters(smallest) <= cost.parameters(other)


def test_a_way_through_the_cell(cost: cell_space.Cost) -> None:
    none = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|;width=8;cells=1"
    assert not cell_space.is_connected(cost.space, cost.space.parse(none))
    for way in (DEAD, CELL):
        assert cell_space.is_connected(cost.space, cost.space.parse(way))
