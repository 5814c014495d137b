"""Synaptic flow against explicit gradients, path counts and magnitudes no float holds."""

import math

import pytest
import torch
from torch import Tensor, nn

from nascence.metrics import Batch, synflow
from nascence.spaces import NB201

ONE = torch.zeros(1, 3, 8, 8), torch.zeros(1, dtype=torch.long)


def test_flow_is_that_of_autograd_on_positive_weights(small_batch: Batch) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(5, 3),
    )
    values = [value.detach().abs().double().requires_grad_() for value in model.parameters()]
    a, b, c, d, e, f = values
    x = torch.conv2d(torch.ones(1, 3, 8, 8, dtype=torch.double), a, b)
    x = torch.conv2d(x, c, d).mean((2, 3)) @ e.T + f
    slopes = torch.autograd.grad(x.sum(), values)
    expected = sum(float((values[i] * slopes[i]).detach().sum()) for i in (0, 2, 4))
    assert synflow(model, small_batch) == pytest.approx(math.log(expected), rel=1e-9)


def test_every_layer_of_a_chain_carries_the_whole_flow() -> None:
    """Conservation: with l layers and no biases the sum is l times the output."""
    torch.manual_seed(0)
    layers = [nn.Linear(6, 6, bias=False) for _ in range(5)]
    output = torch.ones(6, dtype=torch.double)
    for layer in layers:
        output = layer.weight.detach().double().abs() @ output
    found = synflow(nn.Sequential(*layers), (torch.zeros(2, 6), torch.zeros(2)))
    assert found == pytest.approx(math.log(5 * float(output.sum())), rel=1e-9)


@pytest.mark.parametrize(
    "norm",
    [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.LayerNorm([4, 6, 6])],
    ids=lambda norm: type(norm).__name__,
)
def test_normalisation_is_left_out(norm: nn.Module) -> None:
    torch.manual_seed(0)
    first, last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)
    bare = synflow(nn.Sequential(first, nn.ReLU(), last), ONE)
    for value in norm.parameters():
        nn.init.normal_(value)
    assert synflow(nn.Sequential(first, norm, nn.ReLU(), last), ONE) == bare


def test_no_normalisation_is_left_in_the_benchmark_network() -> None:
    """The flow is proportional to each scale of its weights; a BatchNorm would undo that."""
    torch.manual_seed(0)
    model = NB201(width=4, cells=1).build((3, 0, 3, 0, 0, 3))
    before = synflow(model, ONE)
    with torch.no_grad():
        model.get_parameter("stem.0.weight").mul_(10)
    # all paths go through the stem, and the flow of each is ten times what it was
    assert synflow(model, ONE) == pytest.approx(before + math.log(10), rel=1e-9)


def test_counters_of_batches_stay(small_batch: Batch) -> None:
    norm = nn.BatchNorm2d(4)
    synflow(nn.Sequential(nn.Conv2d(3, 4, 3), norm), small_batch)
    assert norm.num_batches_tracked == 0


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_magnitudes_beyond_a_double(factor: float) -> None:
    """40 layers of 1e12 have a flow of 1e480 and more; of 1e-12, one of 1e-480."""
    layers = [nn.Linear(1, 1) for _ in range(40)]
    for layer in layers:
        nn.init.constant_(layer.weight, factor)
        nn.init.zeros_(layer.bias)
    expected = math.log(40) + 40 * math.log(torch.tensor(factor).item())
    if factor < 1:
        assert synflow(nn.Sequential(*layers), (torch.zeros(1, 1), ONE[1])) == -math.inf
    else:
        found = synflow(nn.Sequential(*layers), (torch.zeros(1, 1), ONE[1]))
        assert found == pytest.approx(expected, rel=1e-9)


def test_biases_are_scaled_with_the_image() -> None:
    """Where scaling is needed the biases' share of the flow stays what it is."""
    small = [nn.Linear(1, 1) for _ in range(3)]
    large = [nn.Linear(1, 1) for _ in range(3)]
    for layer, weight in zip([*small, *large], [1e90] * 3 + [1e125] * 3, strict=True):
        layer.double()
        nn.init.constant_(layer.weight, weight)
        nn.init.constant_(layer.bias, 5.0)
    found = [synflow(nn.Sequential(*s), (torch.zeros(1, 1), ONE[1])) for s in (small, large)]
    assert found[1] - found[0] == pytest.approx(3 * 35 * math.log(10), rel=1e-9)


def test_nothing_flows_through_a_cut(small_batch: Batch) -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x), 4)

    assert synflow(Cut(), small_batch) == -math.inf


def test_what_cannot_be_scored_is_an_error() -> None:
    with pytest.raises(ValueError, match="no weights"):
        synflow(nn.ReLU(), ONE)
    layers = [nn.Linear(1, 1) for _ in range(40)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1e30)
    with pytest.raises(ValueError, match="beyond 1e570"):
        synflow(nn.Sequential(*layers), (torch.zeros(1, 1), ONE[1]))


def test_a_layer_without_flow_is_not_needed_for_a_score() -> None:
    model = nn.Linear(4, 3)
    alone = synflow(model, (torch.zeros(1, 4), ONE[1]))
    model.unused = nn.Linear(9, 9)
    assert synflow(model, (torch.zeros(1, 4), ONE[1])) == pytest.approx(alone)
