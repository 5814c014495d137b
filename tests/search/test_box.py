"""Points, mutants and children in a box."""

import numpy as np
import pytest
import torch

from nascence.search import Box

BOX = Box(-5, 10, dimensions=20)


def test_points_fill_the_box() -> None:
    generator = torch.Generator().manual_seed(0)
    values = np.array([BOX.values(BOX.sample(generator=generator)) for _ in range(500)])
    assert values.min() >= -5
    assert values.max() <= 10
    assert values.mean() == pytest.approx(2.5, abs=0.15)
    assert BOX.values((0,) * 20) == pytest.approx(np.full(20, -5.0))
    assert BOX.values((BOX.levels - 1,) * 20) == pytest.approx(np.full(20, 10.0))


def test_mutants_are_near_at_every_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    point = BOX.sample(generator=generator)
    mutants = [BOX.mutate(point, generator=generator) for _ in range(400)]
    distance = [np.abs(BOX.values(mutant) - BOX.values(point)).max() for mutant in mutants]
    assert min(distance) < 0.1
    assert max(distance) > 5
    assert all(0 <= index < BOX.levels for mutant in mutants for index in mutant)
    assert all(isinstance(index, int) for index in mutants[0])


def test_crossover_takes_from_both() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (1,) * 20, (2,) * 20
    child = BOX.crossover(a, b, generator=generator)
    assert set(child) == {1, 2}
    assert len(BOX.decisions) == 20
    assert len(BOX.decisions[0].choices) == BOX.levels


def test_impossible_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match="low must be below high"):
        Box(1, 1, dimensions=2)
    with pytest.raises(ValueError, match="dimensions is 0"):
        Box(0, 1, dimensions=0)
    with pytest.raises(ValueError, match="is no network"):
        BOX.build((0,) * 20)
