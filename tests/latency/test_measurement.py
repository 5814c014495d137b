"""Measured tables, with clocks that count work: then they are known exactly."""

import itertools
import statistics
from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nascence.latency import measurement as latency_measurement
from nascence.latency.measurement import measure_latencies, network_milliseconds, observe, steady
from nascence.spaces import AdditiveSpace, Darts, Mobile, ShuffleNetSpace, SmallSpace

SPACES: dict[str, Callable[[], AdditiveSpace]] = {
    "Mobile": lambda: Mobile(
        width=0.1, classes=2, last=8, depths=(2, 1, 1, 1, 1, 1), **Mobile.strides_for(8)
    ),
    "ShuffleNetSpace": lambda: ShuffleNetSpace(
        width=0.1, classes=2, last=8, depths=(1, 1, 2, 1), **ShuffleNetSpace.strides_for(8)
    ),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def two_plain_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_measurement, "PLAIN", 2)


@pytest.mark.parametrize("name", SPACES)
def test_by_a_clock_of_multiply_adds_the_table_is_that_of_costs(name: str) -> None:
    """A multiply-add takes a millisecond: every entry, and so every sum, is exact."""
    space = SPACES[name]()
    with FlopCounterMode(display=False) as counter:
        table = measure_latencies(
            space,
            side=8,
            batch_size=3,
            generator=seeded(),
            networks=1,
            passes=1,
            clock=lambda: 1e-3 * counter.get_total_flops() / 2,
        )
    costs = space.cost_table(side=8)
    for row, cost in zip(table.choices, costs.choices, strict=True):
        assert row == pytest.approx([3 * each.macs for each in cost])
    assert table.fixed == pytest.approx(3 * costs.fixed.macs)
    architecture = space.sample(generator=seeded(1))
    assert table.of(architecture) == pytest.approx(3 * space.macs(architecture, side=8))
    assert (table.side, table.batch, table.space) == (8, 3, space.description)


def test_a_decision_counts_at_all_its_places_and_none_takes_no_time() -> None:
    """A clock that ticks when it is read: one tick a place, one normal cell and two reductions."""
    ticks = itertools.count()
    space = Darts(width=4, cells=3, classes=2)
    table = measure_latencies(
        space,
        side=8,
        generator=seeded(),
        networks=1,
        passes=1,
        clock=lambda: next(ticks),
    )
    assert table.choices[:14] == ((0.0, *[1e3] * 7),) * 14
    assert table.choices[14:] == ((0.0, *[2e3] * 7),) * 14
    assert table.fixed == 0.0  # a whole plain network takes one tick


def test_every_choice_is_seen_often_enough() -> None:
    space = SPACES["Mobile"]()
    images = torch.randn(1, 3, 8, 8)
    seen: list[float] = []
    found = observe(
        space, images, generator=seeded(), networks=3, passes=2, plain=2, progress=seen.append
    )
    assert set(found.choices) == {
        (place, index)
        for place, decision in enumerate(space.decisions)
        for index in range(len(decision.choices))
    }
    assert min(map(len, found.choices.values())) >= 6
    assert len(found.networks) == 2
    assert all(len(times) >= 4 for _, times in found.networks)
    assert min(min(times) for times in found.choices.values()) >= 0
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_a_greater_network_takes_longer() -> None:
    narrow, wide = (Mobile(width=w, classes=2, side=32) for w in (0.1, 1.0))
    networks = [space.build((5,) * 21) for space in (narrow, wide)]
    times = network_milliseconds(networks, torch.randn(1, 3, 32, 32), passes=3)
    first, second = map(statistics.median, times)
    assert 0 < first < second
    assert [len(each) for each in times] == [3, 3]


def test_measuring_leaves_nothing_changed() -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    table = [
        measure_latencies(
            SPACES["Mobile"](), side=8, generator=seeded(), networks=1, passes=1, reduce=min
        ).space
        for _ in range(2)
    ]
    assert table[0] == table[1]
    assert torch.equal(state, torch.get_rng_state())
    with steady():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


def test_spaces_and_numbers_that_are_refused() -> None:
    with pytest.raises(ValueError, match="whose costs add up"):
        measure_latencies(SmallSpace(width=4), generator=seeded())
    for setting in ("side", "batch_size", "networks", "passes"):
        with pytest.raises(ValueError, match=f"{setting} 0"):
            measure_latencies(SPACES["Mobile"](), generator=seeded(), **{setting: 0})
