"""Scores depend on the seed and the architecture, on nothing else."""

import pytest
import torch

from nascence.metrics import naswot
from nascence.search import MetricEvaluator, derived_seed
from nascence.spaces import NB201

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


def test_derived_seeds_differ() -> None:
    seeds = {derived_seed(seed, architecture) for seed in range(10) for architecture in SPACE}
    assert len(seeds) == 10 * SPACE.size
    assert all(0 <= seed < 1 << 63 for seed in seeds)


def test_no_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seeds is empty"):
        MetricEvaluator(SPACE, naswot, BATCH, seeds=())
