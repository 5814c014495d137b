"""Jacobian scores against explicit Jacobians and NumPy's correlations."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from nascence.metrics import Batch, Metric, epe, jacobian_correlation


def explicit_jacobians(model: nn.Module, batch: Batch) -> NDArray:
    """Slope of each image's sum of outputs by every pixel of the batch, its own part kept.

    In BatchNorm's batch statistics an output depends on all images: the published gradient is
    that of the sum over the whole batch.
    """
    model = model.double().train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    images = batch[0].double()

    def outputs_of(x: Tensor) -> Tensor:
        return functional_call(model, {name: v.clone() for name, v in state.items()}, (x,))

    outputs = torch.autograd.functional.jacobian(outputs_of, images)
    return outputs.sum((0, 1)).flatten(1).numpy()


def double(model: nn.Module, batch: Batch) -> tuple[nn.Module, Batch]:
    return model.double(), (batch[0].double(), batch[1])


def test_correlation_score_is_the_published_formula(network: nn.Module, small_batch: Batch) -> None:
    values = np.linalg.eigvalsh(np.corrcoef(explicit_jacobians(network, small_batch)))
    expected = -sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in values)
    assert jacobian_correlation(*double(network, small_batch)) == pytest.approx(expected, rel=1e-6)


def test_epe_is_the_published_formula(network: nn.Module, small_batch: Batch) -> None:
    slopes, labels = explicit_jacobians(network, small_batch), small_batch[1].numpy()
    expected = 0.0
    for label in np.unique(labels):
        correlation = np.atleast_2d(np.corrcoef(slopes[labels == label]))
        expected += abs(np.log(np.abs(correlation) + 1e-5).sum())
    assert epe(*double(network, small_batch)) == pytest.approx(expected, rel=1e-6)


def test_epe_of_many_classes_is_the_difference_between_them(small_batch: Batch) -> None:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 101)
    model = nn.Sequential(*layers)
    slopes, labels = explicit_jacobians(model, small_batch), small_batch[1].numpy()
    sums = []
    for label in np.unique(labels):
        correlation = np.atleast_2d(np.corrcoef(slopes[labels == label]))
        sums.append(np.log(np.abs(correlation) + 1e-5).sum() / len(correlation))
    expected = sum(abs(a - b) for a in sums for b in sums) / len(sums)
    assert epe(*double(model, small_batch)) == pytest.approx(expected, rel=1e-6)


def test_independent_slopes_have_the_best_score() -> None:
    """Each image has a slope of its own pixel alone: the correlation is nearly the identity."""

    class Squares(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.square().sum(1, keepdim=True)

    images = torch.eye(400)[:8]
    k = 1e-5
    found = jacobian_correlation(Squares(), (images, torch.zeros(8)))
    assert found == pytest.approx(-8 * (math.log(1 + k) + 1 / (1 + k)), abs=1e-3)


def test_a_linear_network_has_the_same_slope_for_all() -> None:
    images = torch.randn(5, 6)
    batch = images, torch.zeros(5, dtype=torch.long)
    model = nn.Linear(6, 3)
    assert jacobian_correlation(model, batch) == pytest.approx(
        -4 * (math.log(1e-5) + 1e5) - math.log(5), rel=1e-4
    )


class Unconnected(nn.Module):
    def __init__(self, *, constant: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.ones(4, 3))
        self.constant = constant

    def forward(self, x: Tensor) -> Tensor:
        return self.bias if self.constant else self.bias + 0 * x


@pytest.mark.parametrize("constant", [True, False])
def test_an_output_that_ignores_its_input_is_the_worst(constant: bool) -> None:
    """Every eigenvalue is zero, and every image is as all others of its class."""
    batch = torch.randn(4, 3), torch.tensor([0, 0, 1, 1])
    least = -4 * (math.log(1e-5) + 1e5)
    assert jacobian_correlation(Unconnected(constant=constant), batch) == pytest.approx(least)
    assert epe(Unconnected(constant=constant), batch) == pytest.approx(8 * math.log(1 + 1e-5))


class Gated(nn.Module):
    """Nothing of a negative image arrives."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True).relu() * x.square()


def test_an_image_without_a_slope_costs_an_eigenvalue() -> None:
    images = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [-1.0, -2.0, -1.0]])
    assert jacobian_correlation(Gated(), (images, images)) < -9e4
    assert jacobian_correlation(Gated(), (images[:2], images)) > -9e4


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


@pytest.mark.parametrize("score", [jacobian_correlation, epe])
def test_what_cannot_be_scored_is_an_error(score: Metric, network: nn.Module) -> None:
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])
    with pytest.raises(ValueError, match="1 image; the score compares 2 or more"):
        score(network, (images[:1], labels[:1]))
    with pytest.raises(ValueError, match="not finite"):
        score(network, (images * float("nan"), labels))
    with pytest.raises(ValueError, match="the network gives a tuple"):
        score(Pair(), (torch.randn(4, 8), labels))


def test_epe_needs_a_label_for_each_image(network: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\) for 4 images"):
        epe(network, (torch.randn(4, 3, 8, 8), torch.zeros(3)))
