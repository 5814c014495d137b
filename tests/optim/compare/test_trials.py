"""Trials on a quadratic against powers of a matrix."""

import math

import pytest
import torch

from nascence.optim import SGD
from nascence.optim.compare import trials as module
from nascence.optim.compare.trials import Trials, normalise, run_trials
from nascence.task import Stack
from nascence.tasks import Quadratics


def test_the_best_by_validation_is_reported_on_test() -> None:
    valid = torch.tensor([[3.0, 1.0], [2.0, 5.0], [math.inf, 0.5], [1.0, 0.7]])
    test = torch.tensor([[30.0, 10.0], [20.0, 50.0], [0.0, 5.0], [99.0, 7.0]])
    trials = Trials(torch.ones(2), valid, test)
    assert [part.tolist() for part in trials.best_of(1)] == [[3.0, 1.0], [30.0, 10.0]]
    assert [part.tolist() for part in trials.best_of(2)] == [[2.0, 1.0], [20.0, 10.0]]
    # the lowest test loss of the first task is not what validation chooses
    assert [part.tolist() for part in trials.best_of(4)] == [[1.0, 0.5], [99.0, 5.0]]
    with pytest.raises(ValueError, match="best of 5"):
        trials.best_of(5)


def test_normalised_losses_worked_by_hand() -> None:
    loss = torch.tensor([10.0, 2.0, 4.0, 1.0, 30.0, math.inf, math.nan])
    found = normalise(loss, torch.tensor(10.0), torch.tensor(2.0))
    assert found.tolist() == [1.0, 0.0, 0.25, -0.125, 1.0, 1.0, 1.0]
    stuck = normalise(torch.tensor([3.0, 3.1]), torch.tensor(3.0), torch.tensor(3.0))
    assert stuck.tolist() == [0.0, 1.0]


def test_trials_on_a_quadratic_are_a_matrix_power(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_NETWORKS", 5)  # two settings of two tasks at a time
    tasks = [Quadratics().task(2), Quadratics().task(8)]
    for task in tasks:
        task.constants["noise"].zero_()
    rates = torch.tensor([0.1, 0.01, 0.3])
    theta = {"log_rate": rates.log(), "momentum": torch.zeros(3)}
    trials = run_trials(SGD(), Stack.of(tasks), steps=6, seed=4, theta=theta)
    starts = Stack.of(tasks).init(generator=torch.Generator().manual_seed(4))["x"]
    for k, task in enumerate(tasks):
        constants = task.constants
        for setting, rate in enumerate(rates):
            matrix = torch.eye(8) - rate * constants["scale"] * constants["matrix"]
            offset = torch.linalg.matrix_power(matrix, 6) @ (starts[k] - constants["centre"])
            loss = constants["scale"] * 0.5 * offset @ constants["matrix"] @ offset
            torch.testing.assert_close(trials.test[setting, k], loss, rtol=1e-3, atol=1e-6)
            torch.testing.assert_close(trials.valid[setting, k], loss, rtol=1e-3, atol=1e-6)


def test_without_theta_the_optimizer_itself_is_tried() -> None:
    stack = Stack.of([Quadratics().task(2)])
    alone = run_trials(SGD(0.05), stack, steps=5, seed=1)
    theta = {"log_rate": torch.tensor([0.05]).log(), "momentum": torch.tensor([0.9])}
    assert torch.equal(alone.test, run_trials(SGD(), stack, steps=5, seed=1, theta=theta).test)
    assert alone.test.shape == (1, 1)
