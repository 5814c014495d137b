"""Least eigenvalues against NumPy's correlations of hooked feature maps."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.metrics import Batch, meco


def by_numpy(model: nn.Module, image: Tensor) -> float:
    """Sum over every call of every module that gives maps of two channels and values."""
    least = []

    def note(module: nn.Module, _: object, output: Tensor) -> None:
        maps = output[0].detach().numpy().astype(float)
        if maps.ndim > 1 and len(maps) > 1 and maps[0].size > 1:
            with np.errstate(invalid="ignore", divide="ignore"):
                correlation = np.nan_to_num(np.corrcoef(maps.reshape(len(maps), -1)))
            least.append(np.linalg.eigvalsh(correlation)[0])

    handles = [module.register_forward_hook(note) for module in model.modules()]
    model.train()(image)
    for handle in handles:
        handle.remove()
    return float(sum(least))


def test_score_is_the_published_sum(network: nn.Module, small_batch: Batch) -> None:
    expected = by_numpy(network, small_batch[0][:1])
    assert expected > 0.1
    assert meco(network, small_batch) == pytest.approx(expected, abs=1e-5)


def test_maps_that_change_in_place_count_as_each_is_given(small_batch: Batch) -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 3, 3)]
    model = nn.Sequential(nn.Sequential(*layers), nn.Identity())
    expected = by_numpy(model, small_batch[0][:1])
    assert meco(model, small_batch) == pytest.approx(expected, abs=1e-5)


class Functional(nn.Module):
    """The layers of :func:`network_of_layers` as functions, with the same weights."""

    def __init__(self, layers: nn.Sequential, relu: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(layers.parameters())
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(F.conv2d(x, self.weights[0], self.weights[1], padding=1))
        x = F.max_pool2d(x, 2)
        x = F.batch_norm(x, None, None, self.weights[2], self.weights[3], training=True)
        return torch.sigmoid(F.avg_pool2d(F.gelu(x), 2))


@pytest.mark.parametrize(
    "relu",
    [F.relu, torch.relu, Tensor.relu, torch.relu_, lambda x: F.relu(x, inplace=True), nn.ReLU()],
    ids=["F.relu", "torch.relu", "method", "torch.relu_", "in place", "module"],
)
def test_a_function_counts_as_its_layer(
    relu: Callable[[Tensor], Tensor], small_batch: Batch
) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(4),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Sigmoid(),
    )
    expected = by_numpy(layers, small_batch[0][:1])
    assert expected > 0.01
    assert meco(layers, small_batch) == pytest.approx(expected, abs=1e-5)
    assert meco(Functional(layers, relu), small_batch) == pytest.approx(expected, abs=1e-5)


def test_a_layer_that_calls_functions_counts_once(small_batch: Batch) -> None:
    """Padding by reflection is a function within the layer."""
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
    expected = by_numpy(layer, small_batch[0][:1])
    assert meco(layer, small_batch) == pytest.approx(expected, abs=1e-5)


class Fixed(nn.Module):
    """Gives maps of its own, whatever the image."""

    def __init__(self, maps: Tensor) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, x: Tensor) -> Tensor:
        return self.maps[None]


def test_hand_worked_maps(small_batch: Batch) -> None:
    """Two channels of correlation 1/2 have the eigenvalues 3/2 and 1/2."""
    half = torch.tensor([[1.0, 1.0, -1.0, -1.0], [1.0, 0.0, 0.0, -1.0]])
    x, y = half[0] / 2, half[1] / 2**0.5
    second = x * 0.5 + (y - (x @ y) * x) / (1 - (x @ y) ** 2) ** 0.5 * 0.75**0.5
    assert meco(Fixed(torch.stack([x, second])), small_batch) == pytest.approx(0.5, abs=1e-6)


def test_dependent_and_constant_channels_count_nothing(small_batch: Batch) -> None:
    row = torch.randn(9)
    for maps in (
        torch.stack([row, 2 * row + 1]),
        torch.stack([row, torch.full((9,), 0.1)]),
        torch.randn(9, 9),
    ):
        assert meco(Fixed(maps), small_batch) == pytest.approx(0, abs=1e-6)


def test_what_cannot_be_scored_is_an_error(network: nn.Module, small_batch: Batch) -> None:
    with pytest.raises(ValueError, match="no module of the network gives feature maps"):
        meco(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), small_batch)
    with pytest.raises(ValueError, match="maps are not finite"):
        meco(network, (small_batch[0] * float("nan"), small_batch[1]))
    assert not any(module._forward_hooks for module in network.modules())
