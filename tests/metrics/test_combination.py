"""Rank sums and votes against counting, with scores that are given."""

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nascence.metrics import (
    Batch,
    Metric,
    RankSum,
    Vote,
    gradient_norm,
    l2_norm,
    parameters,
    population_scores,
)

BATCH = torch.zeros(1, 1), torch.zeros(1, dtype=torch.long)


class Scored(nn.Module):
    """A network that holds the scores that metrics read from it."""

    def __init__(self, *scores: float) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, x: Tensor) -> Tensor:
        return x


def reader(place: int) -> Metric:
    def read(model: nn.Module, batch: Batch) -> float:
        assert isinstance(model, Scored)
        return model.scores[place]

    return read


METRICS = [reader(0), reader(1), reader(2)]
number = st.one_of(st.integers(-2, 2).map(float), st.just(-math.inf), st.floats(-9, 9))
scores = st.tuples(number, number, number)


def log_ranks(network: Sequence[float], population: Sequence[Sequence[float]]) -> float:
    total = 0.0
    for place, value in enumerate(network):
        below = sum(other[place] < value for other in population)
        equal = sum(other[place] == value for other in population)
        total += math.log((below + equal / 2 + 0.5) / (len(population) + 1))
    return total


@given(network=scores, population=st.lists(scores, min_size=1, max_size=12))
def test_rank_sum_counts_what_is_below(
    network: tuple[float, ...], population: list[tuple[float, ...]]
) -> None:
    found = RankSum(METRICS, population)(Scored(*network), BATCH)
    assert found == pytest.approx(log_ranks(network, population))


@given(network=scores, population=st.lists(scores, min_size=1, max_size=12))
def test_vote_counts_who_is_beaten(
    network: tuple[float, ...], population: list[tuple[float, ...]]
) -> None:
    beaten = 0
    for other in population:
        votes = sum((a > b) - (a < b) for a, b in zip(network, other, strict=True))
        beaten += votes > 0
    found = Vote(METRICS, population)(Scored(*network), BATCH)
    assert found == pytest.approx(beaten / len(population))


def test_better_in_every_score_is_better_and_bounds_hold() -> None:
    population = [(float(n), float(-n), 0.0) for n in range(9)]
    metric = RankSum(METRICS, population)
    worst, middle, best = (metric(Scored(x, x, x), BATCH) for x in (-99.0, 0.0, 99.0))
    assert worst == pytest.approx(3 * math.log(1 / 20))
    assert best == pytest.approx(3 * math.log(19 / 20))
    assert worst < middle < best


def test_population_is_scored_network_by_network() -> None:
    networks = [nn.Linear(2, size) for size in (1, 2, 3)]
    found = population_scores([parameters, l2_norm], iter(networks), BATCH)
    assert found.shape == (3, 2)
    assert found[:, 0].tolist() == [3, 6, 9]
    assert found[2, 1] == l2_norm(networks[2], BATCH)


def test_names_tell_combinations_apart() -> None:
    names = {
        made.__qualname__
        for made in (
            RankSum([l2_norm], [[1.0]]),
            RankSum([l2_norm], [[2.0]]),
            RankSum([gradient_norm], [[1.0]]),
            RankSum([l2_norm, gradient_norm], [[1.0, 1.0]]),
            Vote([l2_norm], [[1.0]]),
        )
    }
    assert len(names) == 5
    assert RankSum([l2_norm], [[1.0]]).__qualname__.startswith("RankSum(l2_norm; 1 networks")


def test_what_cannot_be_combined_is_an_error() -> None:
    with pytest.raises(ValueError, match="no metric is given"):
        RankSum([], [[]])
    with pytest.raises(ValueError, match=r"shape \(1, 2\); give one row .* 3 columns"):
        RankSum(METRICS, [[1.0, 2.0]])
    with pytest.raises(ValueError, match="one or more, and 1 columns"):
        Vote([l2_norm], population_scores([l2_norm], [], BATCH))
    with pytest.raises(ValueError, match="hold NaN"):
        Vote([l2_norm], [[math.nan]])
    with pytest.raises(ValueError, match="gave NaN"):
        RankSum(METRICS, [[0.0, 0.0, 0.0]])(Scored(math.nan, 0, 0), BATCH)
