"""The search of the family of stages: limits, rounds, the front, and going on from it."""

import json
from collections.abc import Callable

import pytest
import torch

from nascence.design import stages
from nascence.design.families.stages import Stages
from nascence.design.results import FrontPoint, TrainingPlan
from nascence.design.run import Run

QUICK = {"trials": 4, "steps": 40, "max_params": 300_000}
LINE = "stem2;16x1 residual;32x0 plain;32x1 plain"


def searched(run: Run) -> object:
    return run.folder.finish("search", Stages().search(run))


def test_search_keeps_the_limits_and_says_what_it_chose(run_of: Callable[..., Run]) -> None:
    run = run_of(**QUICK)
    found = Stages().search(run)
    assert all(point.parameters <= 300_000 for point in found.candidates)
    assert [point.name for point in found.candidates if point.chosen] == [found.name]
    assert len({point.name for point in found.candidates}) == len(found.candidates) == 4
    assert found.done == pytest.approx(0.06)
    assert not list((run.path / "checkpoints").glob("search-*.pt"))


def test_training_goes_on_from_the_weights_of_the_search(run_of: Callable[..., Run]) -> None:
    run, family = run_of(**QUICK), Stages()
    found = searched(run)
    begun = family.build(run, found)
    anew = family.build(run, type(found)(**{**vars(found), "done": 0.0}))
    assert not torch.equal(begun.classifier.weight, anew.classifier.weight)
    trained = family.train(run, begun, TrainingPlan(3, None, "float32"))
    assert trained.steps == 3


def test_a_prediction_starts_anew(run_of: Callable[..., Run]) -> None:
    assert Stages().search(run_of(**QUICK, start="predicted")).done == 0


def test_a_named_architecture_is_taken_as_it_is(run_of: Callable[..., Run]) -> None:
    run = run_of(architecture=LINE, steps=2)
    found = searched(run)
    assert found.name == LINE
    assert not found.front
    assert stages.train_stage(run).steps == 2
    with pytest.raises(ValueError, match="its form is stem2 and 3 stages"):
        Stages().search(run_of(name="other", architecture="resnet18", steps=2))


def test_the_front_holds_what_nothing_beats_and_the_chosen_one_first(
    run_of: Callable[..., Run],
) -> None:
    front = Stages().search(run_of(**QUICK)).front
    assert 3 <= len(front) <= 6
    assert [point.chosen for point in front] == [True] + [False] * (len(front) - 1)
    assert all(point.latency_ms > 0 for point in front)


@pytest.mark.parametrize(
    ("other", "beaten"),
    [((0.5, 2.0, 9), True), ((0.6, 1.0, 9), False), ((0.5, 0.5, 9), False), ((0.4, 1.0, 9), True)],
)
def test_a_network_beats_what_is_worse_in_something_and_better_in_nothing(
    other: tuple[float, float, int], beaten: bool
) -> None:
    point = FrontPoint("a", 0.5, 1.0, 9, chosen=False)
    assert point.beats(FrontPoint("b", *other, chosen=False)) == beaten
    assert not point.beats(point)


def test_skeleton_names_every_stage_and_its_pixels(run_of: Callable[..., Run]) -> None:
    found = Stages().search(run_of(architecture=LINE, steps=2))
    assert Stages().skeleton(json.loads(json.dumps(found.decisions)), 30) == (
        "stem: convolution of stride 2",
        "1 residual block, 16 channels, 15 px",
        "3x3 convolution of stride 2, 32 channels",
        "3x3 convolution of stride 2, 32 channels",
        "1 plain block, 32 channels, 4 px",
        "global average, linear classifier",
    )
