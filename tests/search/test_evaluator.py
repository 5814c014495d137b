"""Scores depend on the seed and the architecture, on nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.data import Dataset, Split, nb201
from nascence.metrics import naswot
from nascence.search import (
    MetricEvaluator,
    RankSumEvaluator,
    TableEvaluator,
    TrainingEvaluator,
)
from nascence.spaces import NB201, Architecture

SPACE = NB201(width=4, cells=1)
BATCH = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.zeros(8)
FIRST, SECOND = (3, 2, 3, 2, 4, 1), (1, 3, 3, 3, 0, 2)


def test_score_is_the_same_in_any_order_and_leaves_the_generator_alone() -> None:
    evaluate = MetricEvaluator(SPACE, naswot, BATCH)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    forward = [evaluate(FIRST), evaluate(SECOND)]
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    backward = [evaluate(SECOND), evaluate(FIRST)]
    assert forward == backward[::-1]
    assert forward[0] != forward[1]


def test_score_is_the_mean_over_the_seeds() -> None:
    single = [MetricEvaluator(SPACE, naswot, BATCH, seeds=(seed,))(FIRST) for seed in (0, 1, 2)]
    assert len(set(single)) == 3
    mean = MetricEvaluator(SPACE, naswot, BATCH, seeds=(0, 1, 2))(FIRST)
    assert mean == pytest.approx(sum(single) / 3)


def test_no_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seeds is empty"):
        MetricEvaluator(SPACE, naswot, BATCH, seeds=())


def test_the_table_answers_for_its_space() -> None:
    space = NB201()
    table = nb201()
    evaluate = TableEvaluator(space, table, data="cifar100", accuracy="validation-12")
    for row, architecture in list(enumerate(space))[::1999]:
        assert evaluate(architecture) == table.columns["cifar100/validation-12"][row]
    assert evaluate.description == "NAS-Bench-201, cifar100/validation-12"


def test_a_table_is_refused_where_it_says_nothing() -> None:
    table = nb201()
    with pytest.raises(ValueError, match="the table of NAS-Bench-201 is of another space"):
        TableEvaluator(NB201(width=(8, 16)), table)
    with pytest.raises(ValueError, match="no data set 'mnist'"):
        TableEvaluator(NB201(), table, data="mnist")
    holed = table.joined({"x/test": np.full(len(table), np.nan)})
    with pytest.raises(ValueError, match=r"has no x/test of \|none~0"):
        TableEvaluator(NB201(), holed, data="x")((0,) * 6)


def noise() -> Dataset:
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        images = torch.randint(256, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)
        return Split(images, torch.arange(count) % 10)

    names = tuple("abcdefghij")
    return Dataset("noise", split(64), split(40), names, (0.5,) * 3, (0.3,) * 3, (), "noise")


def test_training_scores_are_reproducible_and_those_of_the_training() -> None:
    small = noise()
    space = NB201(width=4, cells=1)
    evaluate = TrainingEvaluator(space, small, steps=4, batch_size=16)
    before = torch.get_rng_state()
    score = evaluate((3, 2, 3, 2, 4, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert score == evaluate((3, 2, 3, 2, 4, 1))
    assert round(score * 40, 6) == int(score * 40 + 0.5)
    assert "steps 4" in evaluate.description
    with pytest.raises(ValueError, match="neither steps nor seconds"):
        TrainingEvaluator(space, small)


def test_a_network_that_diverges_is_one_of_the_worst() -> None:
    evaluate = TrainingEvaluator(
        NB201(width=4, cells=1), noise(), steps=30, learning_rate=1e12, batch_size=16
    )
    assert evaluate((3, 3, 3, 3, 3, 3)) <= 0.2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9), st.integers(-4, 4))
def test_a_rank_is_the_share_below_with_ties_counted_half(population: list[int], new: int) -> None:
    evaluate = RankSumEvaluator(
        {"x": lambda architecture: float(architecture[0])}, [(v,) for v in population]
    )
    below = sum(value < new for value in population) + sum(v == new for v in population) / 2
    assert evaluate((new,)) == pytest.approx(below / len(population))


def test_ranks_sum_whatever_the_units() -> None:
    space = NB201()
    population = [space.sample(generator=torch.Generator().manual_seed(0)) for _ in range(20)]

    def size(architecture: Architecture) -> float:
        return float(sum(architecture))

    both = RankSumEvaluator(
        {"small": size, "large": lambda each: 1e9 * size(each) ** 3}, population
    )
    one = RankSumEvaluator({"small": size}, population)
    assert both((3,) * 6) == pytest.approx(2 * one((3,) * 6))
    assert both.ranks((0,) * 6) == {"small": 0.0, "large": 0.0}
    assert both.description != one.description
    with pytest.raises(ValueError, match="the population is empty"):
        RankSumEvaluator({"small": size}, [])
    with pytest.raises(ValueError, match="evaluators is empty"):
        RankSumEvaluator({}, population)
