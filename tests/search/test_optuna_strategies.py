"""Optuna's samplers as strategies."""

import pytest
import torch

from nascence.data import nb201
from nascence.search import NSGA2, TPE, RandomSearch, TableEvaluator, search
from nascence.spaces import NB201, Architecture

SPACE = NB201()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def total(architecture: Architecture) -> float:
    return float(sum(architecture))


def test_tpe_learns() -> None:
    mean = {
        make: sum(
            c.score for c in search(make(SPACE, generator=seeded()), total, trials=40).candidates
        )
        for make in (TPE, RandomSearch)
    }
    assert mean[TPE] > mean[RandomSearch] + 40


def test_nsga2_finds_a_better_front_than_random_search() -> None:
    """Area under the staircase of accuracy against multiply-adds, from the same 200 queries."""
    value = TableEvaluator(SPACE, nb201(), accuracy="validation-12")
    costs = {"macs": SPACE.macs}

    def area(strategy) -> float:
        front = sorted(search(strategy, value, trials=200, costs=costs).front(),
                       key=lambda each: each.costs)  # fmt: skip
        ends = [*(each.costs[0] for each in front[1:]), 250e6]
        return sum(
            each.score * (end - each.costs[0]) for each, end in zip(front, ends, strict=True)
        )

    ours = sum(area(NSGA2(SPACE, generator=seeded(seed), objectives=2)) for seed in range(2))
    others = sum(area(RandomSearch(SPACE, generator=seeded(seed))) for seed in range(2))
    assert ours > others


def test_the_number_of_objectives_must_fit() -> None:
    strategy = NSGA2(SPACE, generator=seeded(), objectives=3)
    with pytest.raises(ValueError, match="has 3 objectives, and there are a score and 1 costs"):
        search(strategy, total, trials=3, costs={"macs": SPACE.macs})


def test_scores_of_others_are_learnt() -> None:
    strategy = TPE(SPACE, generator=seeded())
    strategy.tell((3,) * 6, 1.0)
    assert SPACE.canonical(strategy.ask()) != SPACE.canonical((3,) * 6)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="initial is 0"):
        TPE(SPACE, generator=seeded(), initial=0)
    with pytest.raises(ValueError, match="population 1"):
        NSGA2(SPACE, generator=seeded(), population=1)
