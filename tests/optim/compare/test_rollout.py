"""Rollouts on a quadratic against powers of a matrix."""

import torch

from nascence.optim import SGD
from nascence.optim.compare.rollout import rollout
from nascence.task import Stack
from nascence.tasks import Quadratics


def test_gradient_descent_on_a_quadratic_is_a_matrix_power(generator: torch.Generator) -> None:
    task = Quadratics().task(2)
    task.constants["noise"].zero_()
    stack = Stack.of([task, task, task])
    rates = torch.tensor([0.1, 0.01])
    theta = {"log_rate": rates.log(), "momentum": torch.zeros(2)}
    result = rollout(SGD(), stack, steps=7, generator=generator, theta=theta)
    start = stack.init(generator=torch.Generator().manual_seed(0))["x"]
    offset = start - task.constants["centre"]
    for setting, rate in enumerate(rates):
        matrix = torch.eye(8) - rate * task.constants["scale"] * task.constants["matrix"]
        for k in range(3):
            end = torch.linalg.matrix_power(matrix, 7) @ offset[k] + task.constants["centre"]
            found = result.params["x"][3 * setting + k]
            torch.testing.assert_close(found, end, rtol=1e-4, atol=1e-5)
            loss = task.loss({"x": end}, (torch.zeros(8),))
            torch.testing.assert_close(result.final[setting, k], loss, rtol=1e-3, atol=1e-6)
    assert torch.equal(result.first[0], result.first[1])


def test_divergence_is_an_infinite_loss(generator: torch.Generator) -> None:
    stack = Stack.of([Quadratics().task(2)])
    result = rollout(SGD(1e20, momentum=0.0), stack, steps=9, generator=generator)
    assert torch.isfinite(result.first).all()
    assert torch.isinf(result.final).all()
