"""Regression on embeddings, and properties of networks that are known."""

import pytest
import torch
from torch import nn

from nascence.graph import trace
from nascence.hypernet import GHN, Regression, mean_embedding, properties


def test_regression_finds_a_smooth_function_and_its_leave_one_out_error() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(60, 2, generator=generator)
    y = torch.sin(3 * x[:, 0]) + x[:, 1]
    model = Regression(x[:40], y[:40])
    assert float((model(x[40:]) - y[40:]).abs().mean()) < 0.05
    # the closed form against leaving each sample out, with the standardisation kept
    known, target = model._known, y[:40].double() - y[:40].double().mean()
    errors = []
    for left in range(40):
        kept = [row for row in range(40) if row != left]
        kernel = torch.exp(-torch.cdist(known, known).square() / (2 * model._width**2))
        inner = kernel[kept][:, kept] + model.strength * torch.eye(39, dtype=torch.float64)
        guess = kernel[left, kept] @ torch.linalg.solve(inner, target[kept])
        errors.append(float(guess - target[left]) ** 2)
    assert model.leave_one_out_error == pytest.approx((sum(errors) / 40) ** 0.5, rel=1e-6)
    with pytest.raises(ValueError, match="at least 3"):
        Regression(x[:2], y[:2])


def test_properties_of_a_separable_problem() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(100) % 2
    images = torch.zeros(100, 1, 4, 4) + (2.0 * labels - 1)[:, None, None, None]
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    exact = torch.stack([-torch.ones(16), torch.ones(16)])
    values = {"1.weight": exact, "1.bias": torch.zeros(2)}
    clean = properties(model, values, images, labels, generator=generator, noise=0.1)
    assert clean.accuracy == clean.noisy_accuracy == 1.0
    assert clean.seconds > 0
    noisy = properties(model, values, images, labels, generator=generator, noise=50.0)
    assert noisy.noisy_accuracy < 0.9
    start = {"1.weight": torch.zeros(2, 16), "1.bias": torch.zeros(2)}
    learned = properties(model, start, images, labels, generator=generator, steps=30)
    assert learned.convergence > 0.1
    assert torch.equal(start["1.weight"], torch.zeros(2, 16))


def test_embedding_is_the_mean_of_the_states() -> None:
    ghn = GHN(width=8, max_shape=(8, 8, 3, 3))
    graph = trace(nn.Linear(3, 2), torch.empty(1, 3))
    assert torch.allclose(mean_embedding(ghn, graph), ghn.embed(graph).mean(0))
