"""Codes: the same as the spaces', many at once."""

import numpy as np
import torch

from nascence.search import Box
from nascence.search.codes import coder
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
