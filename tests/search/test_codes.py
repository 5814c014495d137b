"""Codes: the same as the spaces', many at once."""

import numpy as np
import torch

from nascence.search import Box
from nascence.search.codes import coder, finite
from nascence.spaces import NB201, Mobile


def test_codes_are_the_one_hot_codes_of_the_space() -> None:
    generator = torch.Generator().manual_seed(0)
    for space in (NB201(), Mobile()):
        architectures = [space.sample(generator=generator) for _ in range(5)]
        expected = torch.stack([space.encode(each) for each in architectures]).numpy()
        assert np.array_equal(coder(space)(architectures), expected)


def test_a_space_can_say_how() -> None:
    box = Box(0.0, 1.0, dimensions=2, levels=5)
    assert coder(box)([(0, 4), (2, 1)]).tolist() == [[0.0, 1.0], [0.5, 0.25]]


def test_scores_that_are_not_finite_count_as_the_least() -> None:
    assert finite([1.0, float("-inf"), 3.0, float("nan"), float("inf")]).tolist() == [1, 1, 3, 1, 1]
    assert finite([float("nan")]).tolist() == [0.0]
