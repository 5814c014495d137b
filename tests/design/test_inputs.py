"""What was decided, in words and numbers, and budgets that are too short."""

import dataclasses

import pytest

from nascence.data import Look
from nascence.design.folder import RunError
from nascence.design.inputs import Inputs, Tried, balance_of, check_budget, untried
from nascence.design.settings import DesignSettings


def test_without_trials_the_usual_size_is_taken(halves: Look) -> None:
    assert untried(halves, None) == Inputs(64)
    assert untried(halves, 30) == Inputs(32)
    assert balance_of(True) > balance_of(False) == 0


def test_decisions_are_said_and_written() -> None:
    found = Inputs(96, "pad", flip=False, tried=(Tried("pad", 0.5),))
    assert found.said() == (
        "Images are padded to 96 pixels; in training they are not flipped. Tried on photos held "
        "out from training: pad 50.0%."
    )
    assert found.metadata((1, 96, 96))["input_size"] == "96x96"
    assert found.metadata((1, 96, 96))["input_colours"] == "grey"
    assert found.augmentation["crop"] == 12
    assert Inputs(32).augmentation["zoom"] == 0


def test_a_budget_that_is_too_short_names_one_that_does(halves: Look) -> None:
    slow = dataclasses.replace(halves, seconds=0.1, train=60_000)
    with pytest.raises(RunError, match=r"too short for 60,000 images .* --budget \d+m would do"):
        check_budget(slow, DesignSettings(budget=60.0))
    check_budget(halves, DesignSettings(budget=60.0))
    check_budget(slow, DesignSettings(budget=60_000.0))
    with pytest.raises(RunError, match=r"--budget 0\.01s is too short"):
        check_budget(halves, DesignSettings(budget=0.01))
