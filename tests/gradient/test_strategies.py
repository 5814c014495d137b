"""Every strategy on every space of cells, and what tells one from the other."""

import pytest
import torch

from nascence import registry
from nascence.data import Dataset
from nascence.gradient import Trajectory, proxyless
from nascence.latency.table import LatencyTable, LatencyTerm
from nascence.spaces import NB201, Darts, Mobile, SmallSpace
from nascence.supernets import SuperNet, split

GRADIENT_STRATEGIES = {
    name: registry.find(name, "gradient strategy").load()
    for name in registry.names("gradient strategy")
}

SPACES = {
    "SmallSpace": lambda: SmallSpace(width=8, classes=2),
    "NB201": lambda: NB201(width=8, cells=1, classes=2),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("strategy", GRADIENT_STRATEGIES)
def test_every_strategy_searches_spaces_of_cells(
    strategy: str, space: str, brightness: Dataset
) -> None:
    supernet = SuperNet(SPACES[space]())
    history = GRADIENT_STRATEGIES[strategy](
        supernet, brightness, generator=seeded(), steps=2, epochs=2, batch_size=8
    )
    assert isinstance(history, Trajectory)
    assert len(history.epochs) == 2
    for epoch in history.epochs:
        assert supernet.check(epoch.architecture)
        assert 0.9 < epoch.entropy <= 1.000001
        assert all(sum(vector) == pytest.approx(1, abs=1e-4) for vector in epoch.probabilities)


@pytest.mark.parametrize("strategy", ["pc-darts", "gdas", "enas", "proxyless"])
def test_darts_gives_a_genotype(strategy: str, brightness: Dataset) -> None:
    supernet = SuperNet(Darts(width=8, cells=3, classes=2, drop_path=0.2))
    history = GRADIENT_STRATEGIES[strategy](
        supernet, brightness, generator=seeded(), steps=1, epochs=1, batch_size=4
    )
    assert "Genotype(normal=" in supernet.space.format(history.derived.architecture)


@pytest.mark.parametrize("strategy", ["snas", "enas", "proxyless"])
def test_spaces_without_cells(strategy: str, brightness: Dataset) -> None:
    supernet = SuperNet(Mobile(width=0.1, classes=2, last=16))
    history = GRADIENT_STRATEGIES[strategy](
        supernet, brightness, generator=seeded(), steps=1, epochs=1, batch_size=4
    )
    assert supernet.check(history.derived.architecture)


def test_partial_channels_refuse_what_has_no_cells(brightness: Dataset) -> None:
    with pytest.raises(ValueError, match="is not an edge of a cell"):
        GRADIENT_STRATEGIES["pc-darts"](
            SuperNet(Mobile(width=0.1, last=16)), brightness, generator=seeded(), steps=1
        )


def fast_identities(space: Mobile) -> LatencyTable:
    """Every operator takes one millisecond, and an identity none."""
    rows = tuple(tuple(float(name != "identity") for name in d.choices) for d in space.decisions)
    return LatencyTable(space.description, 8, 1, space.decisions, 1.0, rows)


def test_latency_decides_where_it_weighs_enough(brightness: Dataset) -> None:
    """Of the parts of a split one, too: the result has the least objective of the last epochs."""
    space = Mobile(width=0.1, classes=2, last=16, depths=(2, 2, 1, 1, 1, 1), side=8)
    table = fast_identities(space)
    parts = split(SuperNet(space), {"block_1": [(0, 1, 2, 3, 4, 5), (6,)]})
    history = proxyless(
        parts, brightness, generator=seeded(), steps=24, epochs=2, batch_size=8, warmup=0.0,
        architecture_rate=1.0, architecture_every=1, latency=LatencyTerm(table, 30.0),
    )  # fmt: skip
    last = {epoch.sub_supernet: epoch for epoch in history.epochs}
    for leaf, blocks in ((0, 7), (1, 6)):
        assert last[leaf].architecture[3] == 6
        assert last[leaf].latency == table.of(last[leaf].architecture) == 1 + blocks
        assert last[leaf].objective == pytest.approx(30 * ((1 + blocks) / table.even() - 1), abs=3)
    assert history.derived is last[1]
    assert history.derived.architecture[1] == 6


def test_without_weight_latency_is_told_and_counts_for_nothing(brightness: Dataset) -> None:
    space = Mobile(width=0.1, classes=2, last=16, depths=(2, 1, 1, 1, 1, 1), side=8)
    settings = {"steps": 3, "epochs": 1, "batch_size": 8, "architecture_every": 1, "warmup": 0.0}
    supernet = SuperNet(space)
    plain = proxyless(supernet, brightness, generator=seeded(), **settings).derived
    told = proxyless(
        supernet, brightness, generator=seeded(), latency=LatencyTerm(fast_identities(space), 0.0),
        **settings,
    ).derived  # fmt: skip
    assert told.probabilities == plain.probabilities
    assert (plain.latency, told.objective) == (None, None)
    assert told.latency == fast_identities(space).of(told.architecture)


def test_latencies_of_another_space_are_refused(brightness: Dataset) -> None:
    table = fast_identities(Mobile(width=0.2, classes=2, last=16))
    with pytest.raises(ValueError, match="measure those of the space that is searched"):
        proxyless(
            SuperNet(Mobile(width=0.1, classes=2, last=16)), brightness, generator=seeded(),
            steps=1, latency=LatencyTerm(table),
        )  # fmt: skip
