"""Ridge regression satisfies the normal equations."""

import pytest
import torch
from torch import nn

from nascence.graph import trace
from nascence.hypernet import accuracy, ridge_head, solve_ridge
from nascence.hypernet.ridge import classifier_name


def test_solution_satisfies_the_normal_equations() -> None:
    torch.manual_seed(0)
    x, labels = torch.randn(40, 6, dtype=torch.float64), torch.randint(3, (40,))
    found = solve_ridge(x, labels, 3, strengths=(0.1,))
    centred = x - x.mean(0)
    y = nn.functional.one_hot(labels, 3).double()
    penalty = 0.1 * centred.square().sum() / 6
    left = centred.t() @ centred + penalty * torch.eye(6, dtype=torch.float64)
    expected = torch.linalg.solve(left, centred.t() @ (y - y.mean(0))).t()
    assert torch.allclose(found.weight, expected, atol=1e-10)
    assert torch.allclose(x.mean(0) @ found.weight.t() + found.bias, y.mean(0), atol=1e-10)


def test_strength_grows_with_noise_and_more_features_than_samples() -> None:
    torch.manual_seed(0)
    labels = torch.arange(200) % 4
    clean = nn.functional.one_hot(labels, 4).double()
    noise = torch.randn(200, 4, dtype=torch.float64)
    assert solve_ridge(clean, labels, 4).strength < solve_ridge(noise, labels, 4).strength
    wide = solve_ridge(torch.randn(10, 50), labels[:10], 4)
    assert torch.isfinite(wide.weight).all()


def test_head_of_a_random_network_beats_its_own() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 3))
    x = torch.randn(300, 5)
    labels = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    graph = trace(model, x[:1])
    params = {name: value.detach() for name, value in model.named_parameters()}
    head = ridge_head(model, graph, params, x[:200], labels[:200])
    assert set(head) == {"2.weight", "2.bias"}
    assert accuracy(model, {**params, **head}, x[200:], labels[200:]) > 0.8
    assert accuracy(model, params, x[200:], labels[200:]) < 0.7


def test_misuse_is_named() -> None:
    model = nn.Sequential(nn.Linear(5, 3))
    graph = trace(model, torch.empty(1, 5))
    with pytest.raises(ValueError, match="label 7 but layer 0 has 3 outputs"):
        ridge_head(
            model, graph, dict(model.named_parameters()), torch.ones(2, 5), torch.tensor([0, 7])
        )
    with pytest.raises(ValueError, match="at least 2"):
        solve_ridge(torch.ones(1, 2), torch.zeros(1, dtype=torch.long), 2)
    odd = trace(nn.Sequential(nn.Linear(5, 3), nn.LayerNorm(3)), torch.empty(1, 5))
    with pytest.raises(ValueError, match="comes from a ln node"):
        classifier_name(odd)
