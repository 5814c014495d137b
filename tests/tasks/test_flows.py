"""Flows are inverted, and their densities integrate to one."""

from itertools import accumulate

import pytest
import torch
from torch import Tensor
from torch.func import jacrev, vmap

from nascence.params import Params
from nascence.tasks.flows import Flow, autoregressive_flow, masks

FLOWS = [
    Flow("autoregressive", 3, (7,), "ring", "tanh"),
    Flow("autoregressive", 2, (9, 8), "images", "elu", side=3),
    Flow("coupling", 3, (7,), "ring", "tanh"),
    Flow("coupling", 4, (6, 5), "images", "swish", side=3),
]


def doubled(problem: Flow, generator: torch.Generator) -> Params:
    constants = problem.sample(generator=generator)
    constants |= {"initialiser": torch.tensor(2), "init_scale": torch.tensor(1.0)}
    params = problem.init(constants, generator=generator)
    return {
        name: (value + 0.3 * torch.randn(value.shape, generator=generator)).double()
        for name, value in params.items()
    }


def test_the_masks_are_autoregressive() -> None:
    for size, hidden in ((2, (16,)), (5, (8, 6)), (16, (32,))):
        *_, reached = accumulate(masks(size, hidden), torch.matmul)
        before = torch.arange(size)[:, None] < torch.arange(size)
        assert torch.equal(reached > 0, torch.cat([before, before], 1))


@pytest.mark.parametrize("problem", FLOWS, ids=str)
def test_log_determinants_are_those_of_the_jacobian(
    problem: Flow, generator: torch.Generator
) -> None:
    params = doubled(problem, generator)
    inputs = torch.randn(4, problem.size, generator=generator).double()
    _, found = problem.noise(params, inputs)
    jacobians = vmap(jacrev(lambda x: problem.noise(params, x[None])[0][0]))(inputs)
    torch.testing.assert_close(found, torch.linalg.slogdet(jacobians).logabsdet)


def inverse_of_one(problem: Flow, params: Params, noise: Tensor) -> Tensor:
    """Dimension by dimension: each depends on itself by a line, if those before it stand."""
    found = torch.zeros_like(noise)
    for column in range(problem.size):
        axis = torch.eye(problem.size)[column].double()
        at_zero, at_one = (problem.noise(params, found + step * axis)[0] for step in (0, 1))
        slope = (at_one - at_zero)[:, column]
        assert (slope > 0).all()
        found = found + axis * ((noise - at_zero)[:, column] / slope)[:, None]
    return found


@pytest.mark.parametrize("problem", FLOWS, ids=str)
def test_flows_are_inverted(problem: Flow, generator: torch.Generator) -> None:
    params = doubled(problem, generator)
    inputs = torch.randn(4, problem.size, generator=generator).double()
    noise, _ = problem.noise(params, inputs)
    alone = Flow(problem.form, 1, problem.hidden, problem.data, problem.activation, side=3)
    for number in reversed(range(problem.bijectors)):
        own = {
            name.replace(f"bijector{number}.", "bijector0."): value
            for name, value in params.items()
            if name.startswith(f"bijector{number}.")
        }
        noise = inverse_of_one(alone, own, noise)
        noise = noise.flip(-1) if number else noise
    torch.testing.assert_close(noise, inputs, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("problem", [FLOWS[0], FLOWS[2]], ids=str)
def test_densities_integrate_to_one(problem: Flow, generator: torch.Generator) -> None:
    params = {name: 0.5 * value for name, value in doubled(problem, generator).items()}
    side = torch.linspace(-15, 15, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    noise, determinants = problem.noise(params, grid)
    density = torch.exp(determinants - 0.5 * noise.square().sum(-1)) / (2 * torch.pi)
    assert abs(density.sum() * 0.05**2 - 1) < 0.01


def test_the_loss_of_an_empty_flow_is_that_of_a_normal(generator: torch.Generator) -> None:
    task = autoregressive_flow().task(0)
    problem = task.problem
    assert isinstance(problem, Flow)
    zeros = {name: 0 * value for name, value in task.init(generator=generator).items()}
    batch = task.batch("train", generator=generator)
    points = problem.inputs(task.constants, batch)
    normal = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(task.loss(zeros, batch), -normal.log_prob(points).mean())
