"""Local search: each step is to the best neighbour, checked against the plain algorithm."""

import pytest
import torch

from nascence.search import Box, LocalSearch
from nascence.spaces import NB201, Architecture

SPACE = NB201()


def score(architecture: Architecture) -> float:
    return -float(sum(abs(index - 3) * (place + 1) for place, index in enumerate(architecture)))


def rugged(architecture: Architecture) -> float:
    return float(hash(architecture) % 1009)


def asked(strategy: LocalSearch, count: int, value=score) -> list[Architecture]:
    found = []
    for _ in range(count):
        found.append(strategy.ask())
        strategy.tell(found[-1], value(found[-1]))
    return found


def make(**settings) -> LocalSearch:
    generator = torch.Generator().manual_seed(settings.pop("seed", 0))
    return LocalSearch(SPACE, generator=generator, distinct="architectures", **settings)


def test_it_is_the_published_algorithm() -> None:
    """Neighbours in the listed order, then the step to the best: written out again here."""
    found = asked(make(shuffle=False), 300, rugged)
    place = 0
    while place < len(found):
        here, known = found[place], set(found[: place + 1])
        place += 1
        while place < len(found):
            around = SPACE.neighbours(here)
            new = [neighbour for neighbour in around if neighbour not in known]
            new = new[: len(found) - place]
            assert found[place : place + len(new)] == new
            place, known = place + len(new), known | set(new)
            best = max(around, key=rugged)
            if rugged(best) <= rugged(here):
                break
            here = best


def test_it_climbs_to_the_top_of_a_hill() -> None:
    found = asked(make(seed=2), 200)
    assert (3,) * 6 in found


def test_first_improvement_moves_at_once() -> None:
    strategy = make(improvement="first")
    start = strategy.ask()
    strategy.tell(start, 0.0)
    neighbour = strategy.ask()
    strategy.tell(neighbour, 1.0)
    after = strategy.ask()
    assert sum(a != b for a, b in zip(after, neighbour, strict=True)) == 1
    assert after in SPACE.neighbours(neighbour)


def test_descent_begins_at_the_best_of_the_starts() -> None:
    strategy = make(starts=5, shuffle=False)
    first = asked(strategy, 5)
    best = max(first, key=score)
    assert strategy.ask() in SPACE.neighbours(best)


def test_it_can_be_asked_before_it_is_told() -> None:
    strategy = make()
    together = [strategy.ask() for _ in range(4)]
    assert len(set(together)) == 4
    for architecture in together:
        strategy.tell(architecture, score(architecture))
    assert strategy.ask() not in together


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"improvement": "none"}, "improvement is 'none'"),
        ({"starts": 0}, "starts is 0"),
        ({"distinct": "nothing"}, "scores a neighbour once only"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LocalSearch(SPACE, generator=torch.Generator(), **settings)


def test_a_space_without_neighbours_is_refused() -> None:
    class Plain(Box):
        neighbours = None  # type: ignore[assignment]

    with pytest.raises(ValueError, match="Plain has no neighbours"):
        LocalSearch(Plain(0, 1, dimensions=2), generator=torch.Generator())  # type: ignore[arg-type]
