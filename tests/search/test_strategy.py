"""Strategies: what they propose, and that evolution is the published algorithm."""

from collections.abc import Callable

import pytest
import torch

from nascence.search import Evolution, RandomSearch, Strategy
from nascence.spaces import NB201, Architecture

SPACE = NB201(width=4, cells=1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ones(architecture: Architecture) -> float:
    """A score whose best architecture is the one with 3 everywhere."""
    return -float(sum(abs(index - 3) for index in architecture))


def run(strategy: Strategy, trials: int) -> list[Architecture]:
    asked = []
    for _ in range(trials):
        architecture = strategy.ask()
        asked.append(architecture)
        strategy.tell(architecture, ones(architecture))
    return asked


def test_random_search_proposes_no_class_twice() -> None:
    asked = run(RandomSearch(SPACE, generator=seeded()), 2000)
    assert len({SPACE.canonical(architecture) for architecture in asked}) == 2000


def test_children_are_mutants_of_the_last_population() -> None:
    strategy = Evolution(SPACE, generator=seeded(), population=8, sample=3)
    asked = run(strategy, 60)
    for number in range(8, 60):
        parents = asked[number - 8 : number]
        distances = [
            sum(a != b for a, b in zip(asked[number], parent, strict=True)) for parent in parents
        ]
        assert min(distances) == 1


def test_the_best_of_all_is_the_parent_when_all_compete() -> None:
    """With so many draws that every member is among them, the parent is the best member."""
    strategy = Evolution(SPACE, generator=seeded(1), population=200, sample=200)
    asked = run(strategy, 200)
    best = max(asked, key=ones)
    children = [strategy.ask() for _ in range(10)]
    close = [sum(a != b for a, b in zip(child, best, strict=True)) == 1 for child in children]
    # The best is not drawn with probability (1 - 1/200)^200, about 0.37.
    assert sum(close) >= 3


def test_the_oldest_leaves_whatever_its_score() -> None:
    strategy = Evolution(SPACE, generator=seeded(), population=2, sample=2)
    strategy.tell((3,) * 6, 100.0)
    for architecture in ((0, 0, 0, 0, 0, 1), (0, 0, 0, 0, 0, 2)):
        strategy.tell(architecture, 0.0)
    for _ in range(10):
        assert sum(index == 0 for index in strategy.ask()) >= 4


def test_evolution_finds_more_than_random_search() -> None:
    def best(make: Callable[[torch.Generator], Strategy]) -> float:
        return sum(max(map(ones, run(make(seeded(seed)), 150))) for seed in range(8)) / 8

    evolved = best(lambda generator: Evolution(SPACE, generator=generator))
    drawn = best(lambda generator: RandomSearch(SPACE, generator=generator))
    assert evolved > drawn + 0.5


def test_description_holds_what_makes_the_proposals() -> None:
    strategies = [
        RandomSearch(SPACE, generator=seeded()),
        RandomSearch(SPACE, generator=seeded(1)),
        RandomSearch(SPACE, generator=seeded(), allowed=any),
        Evolution(SPACE, generator=seeded()),
        Evolution(SPACE, generator=seeded(), population=20),
        Evolution(SPACE, generator=seeded(), sample=2),
    ]
    assert len({strategy.description for strategy in strategies}) == len(strategies)


@pytest.mark.parametrize(("population", "sample"), [(0, 0), (5, 6), (5, 0)])
def test_impossible_settings_are_refused(population: int, sample: int) -> None:
    with pytest.raises(ValueError, match=f"sample is {sample} and population {population}"):
        Evolution(SPACE, generator=seeded(), population=population, sample=sample)
