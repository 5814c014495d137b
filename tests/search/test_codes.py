"""Architectures as points: one-hot, or as the space has it."""

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from nascence.search import Box
from nascence.search.codes import coder, finite
from nascence.spaces import NB201, Mobile, ProductSpace


@pytest.mark.parametrize("space", [NB201(), Mobile()])
def test_codes_are_one_hot(space: ProductSpace) -> None:
    generator = torch.Generator().manual_seed(0)
    architectures = torch.tensor([space.sample(generator=generator) for _ in range(5)])
    sizes = [len(decision.choices) for decision in space.decisions]
    expected = [one_hot(part, size) for part, size in zip(architectures.T, sizes, strict=True)]
    assert np.array_equal(space.codes(architectures), torch.cat(expected, dim=1))


def test_any_space_has_codes() -> None:
    class Bare(Box):
        codes = None  # type: ignore[assignment]

    bare = Bare(0.0, 1.0, dimensions=2, levels=3)
    assert coder(bare)([(0, 2)]).tolist() == [[1.0, 0.0, 0.0, 0.0, 0.0, 1.0]]


def test_a_space_can_say_how() -> None:
    box = Box(0.0, 1.0, dimensions=2, levels=5)
    assert coder(box)([(0, 4), (2, 1)]).tolist() == [[0.0, 1.0], [0.5, 0.25]]


def test_scores_that_are_not_finite_count_as_the_least() -> None:
    assert finite([1.0, float("-inf"), 3.0, float("nan"), float("inf")]).tolist() == [1, 1, 3, 1, 1]
    assert finite([float("nan")]).tolist() == [0.0]
