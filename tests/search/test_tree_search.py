"""LaNAS and LA-MCTS: they search where scores are high, and end where nothing is left."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from nascence.data import nb201
from nascence.search import (
    Box,
    ExhaustedError,
    LaMCTS,
    LaNAS,
    Strategy,
    TableEvaluator,
)
from nascence.spaces import NB201

SPACE = NB201()
MAKE: dict[str, Callable[..., Strategy]] = {"LaNAS": LaNAS, "LaMCTS": LaMCTS}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", MAKE)
def test_it_searches_where_scores_are_high(name: str) -> None:
    """The mean score of what is proposed after the random beginning, beside that of the space."""
    value = TableEvaluator(SPACE, nb201(), accuracy="validation-12")
    strategy = MAKE[name](SPACE, generator=seeded(0))
    scores = []
    for _ in range(120):
        architecture = strategy.ask()
        scores.append(value(architecture))
        strategy.tell(architecture, scores[-1])
    everything = nb201().accuracies("cifar10", "validation-12")
    assert np.mean(scores[60:]) > everything.mean() + everything.std() / 2


def test_la_mcts_samples_the_good_side_of_a_box() -> None:
    """By the score, one side of a plane through the middle: most proposals come to lie there."""
    box = Box(-5, 10, dimensions=6)
    strategy = LaMCTS(box, generator=seeded(0), initial=20, refit=10)
    values = []
    for _ in range(100):
        point = strategy.ask()
        values.append(float(box.values(point)[:3].sum()))
        strategy.tell(point, values[-1])
    assert np.mean(values[50:]) > np.mean(values[:20]) + 5


@pytest.mark.parametrize("name", MAKE)
def test_a_space_is_searched_to_its_end(name: str) -> None:
    """With the other decisions fixed, 25 architectures are left, and all of them are proposed."""
    strategy = MAKE[name](
        SPACE,
        generator=seeded(0),
        initial=5,
        refit=4,
        allowed=lambda architecture: architecture[2:] == (3, 3, 3, 3),
        distinct="architectures",
    )
    asked = set()
    for _ in range(25):
        asked.add(architecture := strategy.ask())
        strategy.tell(architecture, float(sum(architecture)))
    assert len(asked) == 25
    with pytest.raises(ExhaustedError):
        strategy.ask()


@pytest.mark.parametrize("name", MAKE)
def test_scores_that_are_not_finite_are_borne(name: str) -> None:
    strategy = MAKE[name](SPACE, generator=seeded(0), initial=5, refit=5)
    for number in range(40):
        architecture = strategy.ask()
        strategy.tell(architecture, float("-inf") if number % 3 else float(sum(architecture)))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("LaNAS", {"height": 0}, "height is 0"),
        ("LaNAS", {"initial": 1}, "initial is 1"),
        ("LaNAS", {"exploration": -1.0}, "exploration is -1.0"),
        ("LaMCTS", {"leaf_size": 1}, "leaf_size is 1"),
        ("LaMCTS", {"kernel": "cubic"}, "kernel is 'cubic'"),
        ("LaMCTS", {"refit": 0}, "refit 0"),
    ],
)
def test_impossible_settings_are_refused(name: str, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MAKE[name](SPACE, generator=seeded(0), **settings)
