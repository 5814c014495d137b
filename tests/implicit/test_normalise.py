"""Normalised weights: their values, and how often they are computed."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from nascence.implicit import DEQ, spectral_normalise, weight_normalise
from nascence.implicit.normalise import NormalisedLayer, weights_once


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return torch.tanh(0.3 * self.conv(z) + x)


def test_weight_norm_keeps_the_map_and_splits_off_lengths() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    x = torch.randn(2, 3, 4, 4)
    expected = plain(x)
    normalised = weight_normalise(copy.deepcopy(plain))
    assert torch.allclose(normalised(x), expected, atol=1e-6)
    with torch.no_grad():
        normalised[0].layer.weight.mul_(7)  # a direction has no length
    assert torch.allclose(normalised(x), expected, atol=1e-6)
    limited = weight_normalise(copy.deepcopy(plain), limit=0.1)
    lengths = limited[0].weight.flatten(1).norm(dim=1)
    assert torch.allclose(lengths, torch.full_like(lengths, 0.1))


def test_spectral_norm_is_that_of_the_matrix() -> None:
    torch.manual_seed(0)
    layer = spectral_normalise(nn.Conv2d(3, 6, 3), norm=0.9)
    with torch.no_grad():
        layer.layer.weight.add_(torch.randn_like(layer.layer.weight))
        for _ in range(200):
            weight = layer.weight
    assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(0.9, rel=1e-4)
    before = layer.normalise.left.clone()
    layer.eval()
    _ = layer.weight
    assert torch.equal(before, layer.normalise.left)
    with pytest.raises(ValueError, match="norm is 0"):
        spectral_normalise(nn.Linear(2, 2), norm=0.0)


def test_weights_are_computed_once_a_solve_and_still_learn() -> None:
    torch.manual_seed(0)
    layer = DEQ(weight_normalise(Cell()), tol=1e-6, max_iter=40)
    counts = []
    norm = layer.cell.conv.normalise
    norm.register_forward_hook(lambda *_: counts.append(1))
    layer(torch.randn(2, 3, 5, 5)).sum().backward()
    assert len(counts) == 1
    assert norm.length.grad.abs().sum() > 0
    assert layer.cell.conv.layer.weight.grad.abs().sum() > 0
    assert layer.cell.conv._once is None


def test_an_error_inside_leaves_no_weight_behind() -> None:
    cell = weight_normalise(Cell())
    with pytest.raises(ValueError, match="inside"), weights_once(cell):
        raise ValueError("inside")
    assert cell.conv._once is None


def test_normalised_layers_can_be_pickled() -> None:
    cell = pickle.loads(pickle.dumps(weight_normalise(Cell())))
    assert isinstance(cell.conv, NormalisedLayer)
    assert weight_normalise(cell).conv is cell.conv
