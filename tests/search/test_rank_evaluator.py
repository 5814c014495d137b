"""The sum of ranks as an evaluator."""

import math

import pytest
import torch

from nascence.metrics import l2_norm, parameters
from nascence.search import rank_evaluator
from nascence.spaces import NB201

SPACE = NB201(width=4, cells=1)
BATCH = torch.randn(2, 3, 8, 8), torch.zeros(2, dtype=torch.long)


def test_ranks_are_those_of_random_architectures() -> None:
    evaluate = rank_evaluator(SPACE, [parameters], BATCH, reference=40, seed=3)
    generator = torch.Generator().manual_seed(3)
    sizes = [SPACE.parameters(SPACE.sample(generator=generator)) for _ in range(40)]
    for architecture in ((3, 3, 3, 3, 3, 3), (0, 0, 0, 0, 0, 0), (1, 2, 0, 3, 0, 2)):
        size = SPACE.parameters(architecture)
        rank = sum((s < size) + (s == size) / 2 for s in sizes)
        assert evaluate(architecture) == pytest.approx(math.log((rank + 0.5) / 41))


def test_scores_repeat_and_leave_the_random_state() -> None:
    state = torch.get_rng_state()
    first, again = (
        rank_evaluator(SPACE, [l2_norm, parameters], BATCH, reference=5) for _ in range(2)
    )
    assert first((3, 2, 3, 2, 4, 1)) == again((3, 2, 3, 2, 4, 1))
    assert first.description == again.description
    assert torch.equal(torch.get_rng_state(), state)
    other = rank_evaluator(SPACE, [l2_norm, parameters], BATCH, reference=5, seed=1)
    assert other.description != first.description


def test_a_reference_is_needed() -> None:
    with pytest.raises(ValueError, match="reference is 0"):
        rank_evaluator(SPACE, [parameters], BATCH, reference=0)
