"""Searches of whole and split supernets: equal shares, the best one, limits, bad settings."""

import itertools
import pickle
from functools import partial

import pytest
import torch

from nascence import registry
from nascence.data import Dataset
from nascence.gradient import darts, enas, snas, strategies
from nascence.spaces import Darts, SmallSpace
from nascence.supernets import SuperNet, split

GRADIENT_STRATEGIES = {
    name: registry.find(name, "gradient strategy").load()
    for name in registry.names("gradient strategy")
}

QUICK = {"batch_size": 8, "crop": 0, "epochs": 2}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_sub_supernets_have_equal_shares_and_the_best_is_the_result(
    supernet: SuperNet, brightness: Dataset
) -> None:
    parts = split(supernet, {"edge_0_1": [(0, 1), (2, 3), (4, 5)]})
    fractions: list[float] = []
    history = darts(
        parts, brightness, generator=seeded(), steps=10,
        progress=lambda fraction, _: fractions.append(fraction), **QUICK,
    )  # fmt: skip
    assert history.steps == 10
    last = {epoch.sub_supernet: epoch for epoch in history.epochs}
    assert [last[leaf].steps for leaf in range(3)] == [4, 3, 3]
    for leaf, part in enumerate(parts):
        assert all(part.check(e.architecture) for e in history.epochs if e.sub_supernet == leaf)
        assert len(last[leaf].probabilities[0]) == 2
    assert history.derived.accuracy == max(epoch.accuracy for epoch in last.values())
    assert history.derived in last.values()
    assert all(a < b for a, b in itertools.pairwise(fractions))
    assert fractions[-1] == 1
    assert history.stops == ("steps",) * 3


def test_processes_give_the_same(supernet: SuperNet, brightness: Dataset) -> None:
    parts = split(supernet, {"edge_0_1": [(0, 1, 2), (3, 4, 5)]})
    fractions: list[float] = []
    search = partial(snas, parts, brightness, steps=4, **QUICK)
    one = search(generator=seeded())
    two = search(
        generator=seeded(), workers=2, progress=lambda fraction, _: fractions.append(fraction)
    )
    assert [(e.architecture, e.probabilities, e.loss) for e in one.epochs] == [
        (e.architecture, e.probabilities, e.loss) for e in two.epochs
    ]
    assert fractions == [0.5, 1.0]
    with pytest.raises(ValueError, match="workers is 0"):
        search(generator=seeded(), workers=0)


def test_strategies_can_be_given_to_processes() -> None:
    """All of them pickle what they prepare; a worker needs no more."""
    prepared: list[object] = []

    def caught(supernets, data, prepare, *, generator, **settings):
        prepared.append(pickle.loads(pickle.dumps(prepare)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strategies, "gradient_search", caught)
        for strategy in GRADIENT_STRATEGIES.values():
            strategy(None, None, generator=seeded())
    assert len(prepared) == len(GRADIENT_STRATEGIES)


def test_a_fixed_decision_stays_and_the_supernet_is_untouched(
    supernet: SuperNet, brightness: Dataset
) -> None:
    (_, _, _, part, *_) = split(supernet, ["edge_0_2"])
    before = {name: value.clone() for name, value in part.state_dict().items()}
    state = torch.get_rng_state()
    history = enas(part, brightness, generator=seeded(), steps=3, **QUICK)
    assert all(epoch.architecture[1] == 3 for epoch in history.epochs)
    assert history.epochs[0].probabilities[1] == (1.0,)
    assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_equal_seeds_give_equal_histories(supernet: SuperNet, brightness: Dataset) -> None:
    search = partial(darts, supernet, brightness, steps=3, **QUICK)
    one, same, other = (search(generator=seeded(seed)) for seed in (1, 1, 2))
    assert [e.probabilities for e in one.epochs] == [e.probabilities for e in same.epochs]
    assert [e.probabilities for e in one.epochs] != [e.probabilities for e in other.epochs]


def test_a_time_limit_ends_the_search(supernet: SuperNet, brightness: Dataset) -> None:
    history = darts(supernet, brightness, generator=seeded(), seconds=0.3, steps=100_000, **QUICK)
    assert history.stops == ("seconds",)
    assert history.steps < 100_000
    assert history.epochs


def test_the_history_is_that_of_candidates(supernet: SuperNet, brightness: Dataset) -> None:
    history = darts(supernet, brightness, generator=seeded(), steps=4, **QUICK)
    assert [c.architecture for c in history.candidates] == [e.architecture for e in history.epochs]
    assert all(0 <= candidate.score <= 1 for candidate in history.candidates)
    assert history.best.score == max(epoch.accuracy for epoch in history.epochs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "neither steps nor seconds"),
        ({"steps": 0}, "at least one step"),
        ({"seconds": 0.0}, "a positive time"),
        ({"steps": 2, "epochs": 0}, "epochs 0"),
        ({"steps": 2, "warmup": 1.0}, "warmup 1.0"),
        ({"steps": 2, "learning_rate": 0.0001}, "a last rate from 0 to the first"),
        ({"steps": 2, "stop_at_skips": 0}, "stop_at_skips is 0"),
        ({"steps": 2, "batch_size": 1}, "batches of 2"),
        ({"steps": 2, "order": 3}, "order is 3"),
    ],
)
def test_impossible_settings(
    settings: dict, message: str, supernet: SuperNet, brightness: Dataset
) -> None:
    with pytest.raises(ValueError, match=message):
        darts(supernet, brightness, generator=seeded(), **settings)


def test_impossible_supernets(supernet: SuperNet, brightness: Dataset) -> None:
    search = partial(darts, data=brightness, generator=seeded(), steps=20)
    with pytest.raises(ValueError, match="0 supernets are given"):
        search([])
    with pytest.raises(ValueError, match="none of them twice"):
        search([supernet, supernet])
    with pytest.raises(ValueError, match="statistics='batch'"):
        search(SuperNet(SmallSpace(width=4), statistics="tracked"))
    with pytest.raises(ValueError, match="auxiliary head"):
        search(SuperNet(Darts(width=4, cells=3, auxiliary=True)))
    fewer = split(supernet, ["edge_0_1"])
    with pytest.raises(ValueError, match="one step for each of 6 supernets"):
        darts(fewer, brightness, generator=seeded(), steps=5)
