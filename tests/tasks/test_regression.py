"""Regression on a teacher that is known."""

import torch

from nascence.tasks.regression import Regression, regression


def test_who_knows_what_the_teacher_knows_errs_by_the_noise(generator: torch.Generator) -> None:
    problem = Regression(6, (16,), activation="tanh", batch_size=4000)
    constants = problem.sample(generator=generator) | {"noise": torch.tensor(0.5)}
    params = {
        "0.weight": constants["teacher_in"],
        "0.bias": torch.zeros(16),
        "1.weight": constants["teacher_out"],
        "1.bias": torch.zeros(4),
    }
    for split, known in (("train", 0.25), ("outer-valid", 0.0)):
        draw = tuple(part[0] for part in problem.draw(1, split, generator=generator))  # type: ignore[arg-type]
        assert abs(problem.loss(constants, params, draw) - known) < 0.02 * known + 1e-12


def test_spectra_fall_from_one(generator: torch.Generator) -> None:
    family = regression()
    for index in range(10):
        spectrum = family.task(index).constants["spectrum"]
        assert spectrum[0] == 1
        assert 0.0099 < spectrum[-1] <= 1
        assert (spectrum.diff() <= 0).all()
