"""Averages, clipping and divergence in the state of a training."""

import math

import pytest
import torch
from torch import nn

from nascence.training import DivergenceError, sgd, train


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_average_follows_its_formula(bright_or_dark) -> None:
    data, weights = bright_or_dark(), []
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    settings = {"optimizer": sgd(0.1), "crop": 0, "flip": False, "batch_size": 64}
    for steps in (1, 2, 3):
        # The schedule is constant, so a shorter training is a prefix of a longer one.
        result = train(
            model, data, generator=seeded(), steps=steps, schedule=lambda f: 1.0, **settings
        )
        weights.append(result.model[1].weight)
    averaged = train(
        model,
        data,
        generator=seeded(),
        steps=3,
        schedule=lambda f: 1.0,
        average_decay=0.25,
        **settings,
    )
    expected = model[1].weight
    for step, new in enumerate(weights, start=1):
        decay = min(0.25, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * new
    torch.testing.assert_close(averaged.model[1].weight, expected, rtol=1e-4, atol=1e-6)


def test_divergence_is_said_with_what_to_do(bright_or_dark, network) -> None:
    with pytest.raises(DivergenceError, match=r"loss became (nan|inf) by step.*lower the learning"):
        train(
            network(),
            bright_or_dark(),
            optimizer=sgd(1e30),
            generator=seeded(),
            steps=20,
            batch_size=16,
        )


def test_gradient_norm_is_clipped(bright_or_dark) -> None:
    data = bright_or_dark()
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    result = train(
        model,
        data,
        optimizer=lambda groups: torch.optim.SGD(groups, lr=1.0),
        generator=seeded(),
        steps=1,
        batch_size=64,
        schedule=lambda fraction: 1.0,
        clip=0.01,
    )
    moved = [a - b for a, b in zip(result.model.parameters(), model.parameters(), strict=True)]
    assert math.isclose(sum(m.pow(2).sum().item() for m in moved) ** 0.5, 0.01, rel_tol=1e-3)
