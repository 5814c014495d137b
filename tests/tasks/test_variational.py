"""Variational bounds whose value is known."""

import math

import torch
from torch.distributions import MultivariateNormal

from nascence.tasks.variational import (
    LARGEST_LOG_VARIANCE,
    VariationalAutoencoder,
    variational,
)

PIXELS, LATENT, DEVIATION = 16, 3, 0.7


def test_with_the_true_posterior_the_bound_is_the_likelihood(generator: torch.Generator) -> None:
    """Probabilistic PCA (Tipping and Bishop 1999): a linear decoder with orthogonal columns."""
    problem = VariationalAutoencoder((), LATENT, side=4)
    constants = {"deviation": torch.tensor(DEVIATION).double()}
    basis = torch.linalg.qr(torch.randn(PIXELS, LATENT, generator=generator).double())[0]
    weight = basis * torch.tensor([2.0, 1.0, 0.5])
    offset = torch.randn(PIXELS, generator=generator).double()
    precision = weight.square().sum(0) + DEVIATION**2
    variance = DEVIATION**2 / precision
    raw = LARGEST_LOG_VARIANCE * torch.atanh(variance.log() / LARGEST_LOG_VARIANCE)
    to_mean = weight / precision
    params = {
        "encoder0.weight": torch.cat([to_mean, torch.zeros_like(to_mean)], 1),
        "encoder0.bias": torch.cat([-offset @ to_mean, raw]),
        "decoder0.weight": weight.T,
        "decoder0.bias": offset,
    }
    image = torch.randn(PIXELS, generator=generator).double()
    # A quadratic of normal noise has the mean of its values at these points.
    directions = math.sqrt(LATENT) * torch.eye(LATENT).double()
    noise = torch.cat([directions, -directions])
    images = image.expand(len(noise), PIXELS)
    covariance = weight @ weight.T + DEVIATION**2 * torch.eye(PIXELS).double()
    known = MultivariateNormal(offset, covariance).log_prob(image)
    bound = problem.bound(constants, params, images, noise).mean()
    torch.testing.assert_close(bound, known)
    for name in ("encoder0.weight", "encoder0.bias"):
        shift = 0.05 * torch.randn(params[name].shape, generator=generator).double()
        worse = params | {name: params[name] + shift}
        assert problem.bound(constants, worse, images, noise).mean() < known - 1e-3


def test_with_nothing_the_loss_is_known(generator: torch.Generator) -> None:
    family = variational()
    for index in (0, 1):
        task = family.task(index)
        zeros = {name: 0 * value for name, value in task.init(generator=generator).items()}
        batch = task.batch("train", generator=generator)
        if index == 1:  # Bernoulli: every pixel has probability a half
            torch.testing.assert_close(task.loss(zeros, batch), torch.tensor(2.0).log())
            continue
        task.constants["input_scale"] = torch.tensor(0.0)
        known = torch.log(task.constants["deviation"]) + 0.5 * math.log(2 * math.pi)
        torch.testing.assert_close(task.loss(zeros, batch), known)
