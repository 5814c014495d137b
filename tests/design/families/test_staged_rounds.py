"""Which networks are compared: as many passes as suit them, and never none."""

import dataclasses
import math
from collections.abc import Callable

import pytest

from nascence.data import Dataset, Split
from nascence.design import recipe
from nascence.design.families import staged_designs as designs
from nascence.design.families import staged_rounds as rounds
from nascence.design.families.staged_cost import StagedCost
from nascence.design.families.stages import Stages
from nascence.design.run import Run
from nascence.search import LimitError

QUICK = {"trials": 4, "steps": 40, "max_params": 300_000}


@pytest.fixture
def at_speed(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], list[str]]:
    """The names that are compared where an image takes 1 ms for each million multiply-adds."""
    monkeypatch.setattr(StagedCost, "training_ms", lambda self, each: self.macs(each) / 1e6)

    def make(seconds: float) -> list[str]:
        run = run_of(name=f"run-{seconds:g}")
        space = rounds.space_in(run)
        cost = StagedCost(
            space, run.data.image_shape, precision="float32", folder=run.path / "stages"
        )
        found = rounds.entrants_of(run, space, cost, 8, seconds=seconds)
        return [space.format(each) for each in found]

    return make


def test_networks_see_the_images_as_often_as_suits_them(
    at_speed: Callable[[float], list[str]], run_of: Callable[..., Run]
) -> None:
    run = run_of(name="costs")
    space = rounds.space_in(run)
    cost = StagedCost(space, run.data.image_shape, precision="float32", folder=run.path)
    hand = designs.hand_designs(space)[1]
    seconds = 55 * 30 * cost.macs(hand) / 1e9  # 55 passes over 30 images
    names = at_speed(seconds)
    assert space.format(hand) in names
    assert len(names) == 6
    for name in names:
        passes = seconds / (30 * cost.macs(space.parse(name)) / 1e9)
        assert rounds.PASSES[0] <= passes <= rounds.PASSES[1]


def test_a_short_time_takes_a_design_by_hand_at_once(run_of: Callable[..., Run]) -> None:
    """In ten seconds there are fewer than 400 steps for each of four short trainings."""
    found = Stages().search(run_of())
    assert len(found.candidates) == 1
    assert found.name.startswith("stem2")
    assert found.name.count("x1 residual") == 3
    assert found.done == 0


def test_in_a_long_time_the_largest_design_by_hand_takes_part(
    at_speed: Callable[[float], list[str]],
) -> None:
    assert at_speed(1e6)[0].startswith("stem2;64x1 residual")


def test_no_machine_is_too_slow_for_a_network(
    run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a step takes an hour, the narrowest design by hand is taken and nothing compared."""
    monkeypatch.setattr(recipe, "seconds_per_step", lambda *_, **__: 3600.0)
    found = Stages().search(run_of())
    assert found.name == "stem2;16x1 residual;32x1 residual;64x1 residual"
    assert found.done == 0
    assert math.isnan(found.score)


def test_a_handful_of_images_is_not_split(run_of: Callable[..., Run], noise: Dataset) -> None:
    few = dataclasses.replace(noise, train=Split(noise.train.images[:3], noise.train.labels[:3]))
    found = Stages().search(run_of(data=few, **QUICK))
    assert len(found.candidates) == 1
    assert found.done == 0


def test_limits_that_no_design_by_hand_keeps_leave_others(run_of: Callable[..., Run]) -> None:
    found = Stages().search(run_of(trials=1, steps=2, max_params=12_000))
    assert found.candidates[0].parameters <= 12_000
    with pytest.raises(LimitError, match="--max-params 10: the smallest has"):
        Stages().search(run_of(name="other", trials=1, steps=2, max_params=10))
