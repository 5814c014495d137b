"""Trials hold out a third of the photos."""

import torch

from nascence.data import Look
from nascence.design.inputs import Inputs
from nascence.design.trial import Trial, affordable


def test_a_third_is_held_out(halves: Look) -> None:
    trial = Trial(halves, 0, torch.device("cpu"))
    assert (len(trial.held_out), len(trial.held_in)) == (53, 107)
    assert not set(trial.held_out.tolist()) & set(trial.held_in.tolist())
    data = trial.data(16, "crop")
    assert data.image_shape == (3, 16, 16)
    assert trial.figure(data.validation.labels) == 1.0


def test_a_look_is_cut_to_the_time_there_is(halves: Look) -> None:
    assert len(affordable(halves, 1e-9).photos) == 150
    assert len(affordable(halves, 1e9).photos) == 160


def test_a_short_training_has_a_figure(halves: Look) -> None:
    trial = Trial(halves, 0, torch.device("cpu"))
    assert trial.seconds_per_sample(Inputs(32)) > 0
    assert 0 <= trial.trained(Inputs(32, flip=False), 0.2) <= 1
