"""Every strategy on every space of cells, and what tells one from the other."""

import pytest
import torch

from nascence.data import Dataset
from nascence.search.gradient import GRADIENT_STRATEGIES, Trajectory
from nascence.spaces import NB201, Darts, Mobile, Small, SuperNet

SPACES = {
    "Small": lambda: Small(width=8, classes=2),
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


@pytest.mark.parametrize("strategy", ["pc-darts", "gdas", "enas"])
def test_darts_gives_a_genotype(strategy: str, brightness: Dataset) -> None:
    supernet = SuperNet(Darts(width=8, cells=3, classes=2, drop_path=0.2))
    history = GRADIENT_STRATEGIES[strategy](
        supernet, brightness, generator=seeded(), steps=1, epochs=1, batch_size=4
    )
    assert "Genotype(normal=" in supernet.space.format(history.derived.architecture)


@pytest.mark.parametrize("strategy", ["snas", "enas"])
def test_spaces_without_cells(strategy: str, brightness: Dataset) -> None:
    supernet = SuperNet(Mobile(width=0.1, classes=2, last=16))
    history = GRADIENT_STRATEGIES[strategy](
        supernet, brightness, generator=seeded(), steps=1, epochs=1, batch_size=4
    )
    assert supernet.check(history.derived.architecture)


def test_partial_channels_refuse_what_has_no_cells(brightness: Dataset) -> None:
    with pytest.raises(ValueError, match="is no edge of a cell"):
        GRADIENT_STRATEGIES["pc-darts"](
            SuperNet(Mobile(width=0.1, last=16)), brightness, generator=seeded(), steps=1
        )
