"""Limits, and drawing what keeps to them."""

import statistics

import pytest
import torch

from nascence.search import Evolution, ExhaustedError, Limit, LimitError, Limits, RandomSearch
from nascence.search.limits import sample_allowed
from nascence.spaces import NB201

SPACE = NB201(width=4, cells=1)
SMALLEST = SPACE.parameters((0,) * 6)
MEDIANS = [statistics.median(map(cost, SPACE)) for cost in (SPACE.parameters, SPACE.macs)]


def parameters_at_most(most: float) -> Limits:
    return Limits(Limit("parameters", SPACE.parameters, most))


@pytest.mark.parametrize("kind", [RandomSearch, Evolution])
def test_proposals_keep_to_the_limits(kind: type, generator: torch.Generator) -> None:
    limits = Limits(
        Limit("parameters", SPACE.parameters, MEDIANS[0]),
        Limit("macs", SPACE.macs, MEDIANS[1]),
    )
    strategy = kind(SPACE, generator=generator, allowed=limits)
    for number in range(60):
        architecture = strategy.ask()
        assert SPACE.parameters(architecture) <= MEDIANS[0]
        assert SPACE.macs(architecture) <= MEDIANS[1]
        strategy.tell(architecture, float(number % 7))


def test_draws_are_uniform(generator: torch.Generator) -> None:
    drawn = [
        sample_allowed(SPACE, allowed=None, known=(), generator=generator) for _ in range(2000)
    ]
    for edge in range(6):
        for operation in range(5):
            share = sum(architecture[edge] == operation for architecture in drawn) / 2000
            assert abs(share - 0.2) < 5 * (0.2 * 0.8 / 2000) ** 0.5


def test_impossible_limit_says_the_least_there_is(generator: torch.Generator) -> None:
    for kind in (RandomSearch, Evolution):
        strategy = kind(SPACE, generator=generator, allowed=parameters_at_most(SMALLEST - 1))
        message = f"parameters <= {SMALLEST - 1:,} .* smallest had parameters {SMALLEST:,};"
        with pytest.raises(LimitError, match=message):
            strategy.ask()


def test_a_function_that_allows_nothing_is_named(generator: torch.Generator) -> None:
    def nothing(architecture: object) -> bool:
        return False

    with pytest.raises(LimitError, match=r"keeps to .*nothing among 20,000 tried; raise"):
        RandomSearch(SPACE, generator=generator, allowed=nothing).ask()


def test_a_rare_architecture_is_found_by_following_the_limit(generator: torch.Generator) -> None:
    """In a space with two hundred widths, few of the networks have the least parameters."""
    space = NB201(width=tuple(range(4, 204)), cells=tuple(range(1, 41)))
    least = space.parameters((0,) * 8)
    limits = Limits(Limit("parameters", space.parameters, least))
    found = sample_allowed(space, allowed=limits, known=(), generator=generator)
    assert space.parameters(found) == least


def test_search_ends_when_all_are_known(generator: torch.Generator) -> None:
    strategy = RandomSearch(SPACE, generator=generator, allowed=parameters_at_most(SMALLEST))
    expected = {SPACE.canonical(a) for a in SPACE if SPACE.parameters(a) == SMALLEST}
    asked = set()
    with pytest.raises(ExhaustedError, match="no new architecture"):
        asked.update(SPACE.canonical(strategy.ask()) for _ in range(len(expected) + 1))
    assert len(asked) >= 0.95 * len(expected)
    assert asked <= expected


def test_limits_above_zero_only() -> None:
    for most in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="the limit of macs is"):
            Limits(Limit("macs", SPACE.macs, most))


def test_a_cost_that_was_not_measured_keeps_to_no_limit(generator: torch.Generator) -> None:
    def unmeasured(architecture: tuple[int, ...]) -> float:
        return 1.0 if architecture[0] == 3 else float("nan")

    limits = Limits(Limit("latency", unmeasured, 2.0))
    for _ in range(20):
        assert sample_allowed(SPACE, allowed=limits, known=(), generator=generator)[0] == 3
