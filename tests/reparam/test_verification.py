"""Relative errors that are known, and bounds on them."""

import math

import torch
from torch import Tensor, nn

from nascence.reparam.verification import Truth, disturbed, relative_error


def test_relative_error_of_known_values() -> None:
    assert relative_error(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0])) == 0.1
    assert relative_error(torch.zeros(2), torch.zeros(2)) == 0.0
    assert math.isinf(relative_error(torch.ones(2), torch.zeros(2)))
    assert math.isinf(relative_error(torch.ones(2), torch.ones(3)))
    assert math.isinf(relative_error([torch.ones(2)], [torch.ones(2), torch.ones(2)]))
    spoiled = torch.tensor([1.0, math.nan])
    assert math.isinf(relative_error(spoiled, torch.ones(2)))
    assert relative_error(spoiled, spoiled) == 0.0


def test_noise_is_repeatable_and_leaves_integers_alone() -> None:
    inputs = (torch.zeros(2, 3), torch.arange(3))
    one, two = disturbed(inputs), disturbed(inputs)
    assert torch.equal(one[0], two[0])
    assert one[0].abs().sum() > 0
    assert torch.equal(one[1], inputs[1])


def test_a_model_that_only_runs_in_its_own_dtype() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x.float())

    model = Fixed().eval()
    truth = Truth(model, (torch.randn(2, 3),))
    assert not truth.wide
    assert truth.error(model) == 0.0
    assert truth.holds(model)
    assert truth.tolerance == 1e-4


def test_the_bound_grows_with_the_rounding_of_the_network() -> None:
    calm = Truth(nn.Linear(3, 3).eval(), (torch.randn(2, 3),))
    assert calm.tolerance == 1e-9
    layers = [nn.Linear(1, 1, bias=False) for _ in range(2)]

    class Cancelling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(layers)

        def forward(self, x: Tensor) -> Tensor:
            return (self.layers[0](x) + 1e7) - 1e7

    wild = Truth(Cancelling().eval(), (torch.randn(2, 1),))
    assert 1e-9 < wild.tolerance <= 1e-6


def test_a_candidate_that_fails_is_infinitely_wrong() -> None:
    truth = Truth(nn.Linear(3, 3).eval(), (torch.randn(2, 3),))
    assert math.isinf(truth.error(nn.Linear(4, 3)))
    assert truth.error_in_dtype(nn.Linear(4, 3)) is None
    assert not truth.holds(nn.Linear(4, 3))
