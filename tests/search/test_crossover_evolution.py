"""SPOS's evolution: who the parents are, and that limits hold."""

import pytest
import torch

from nascence.search import CrossoverEvolution, Limit, Limits
from nascence.spaces import NB201, Architecture

SPACE = NB201()


def run(count: int, **settings) -> list[Architecture]:
    strategy = CrossoverEvolution(
        SPACE, generator=torch.Generator().manual_seed(0), distinct="architectures", **settings
    )
    asked = []
    for _ in range(count):
        asked.append(strategy.ask())
        strategy.tell(asked[-1], float(sum(asked[-1])))
    return asked


def test_children_come_from_the_best_of_the_generations_before() -> None:
    sizes = {"population": 20, "top": 4, "crossovers": 10, "mutants": 10}
    asked = run(60, **sizes)
    for start in (20, 40):
        parents = sorted(asked[:start], key=lambda each: -sum(each))[:4]
        for mutant in asked[start : start + 10]:
            assert (
                min(sum(a != b for a, b in zip(mutant, each, strict=True)) for each in parents) <= 4
            )
        for child in asked[start + 10 : start + 20]:
            assert (
                any(
                    all(c in (a, b) for c, a, b in zip(child, first, second, strict=True))
                    for first in parents
                    for second in parents
                )
                or sum(child) < 18
            )  # a random one, where all mixtures of so few were seen


def test_it_ends_higher_than_it_began() -> None:
    asked = run(250)
    assert max(map(sum, asked[:50])) < max(map(sum, asked)) == 24


def test_limits_hold() -> None:
    asked = run(120, allowed=Limits(Limit("macs", SPACE.macs, 60e6)))
    assert max(map(SPACE.macs, asked)) <= 60e6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top": 1}, "top is 1"),
        ({"crossovers": 30, "mutants": 30}, "must fit into the population of 50"),
        ({"mutation": 0.0}, "mutation 0.0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CrossoverEvolution(SPACE, generator=torch.Generator(), **settings)
