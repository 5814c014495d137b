"""Saliencies against finite differences, hand-worked networks and ``torch.func``."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev

from nascence.metrics import (
    Batch,
    Metric,
    gradient_norm,
    grasp,
    l2_norm,
    plain,
    saliencies,
    snip,
    zico,
)

Loss = Callable[[dict[str, Tensor]], Tensor]


def weights_and_loss(model: nn.Module, batch: Batch) -> tuple[dict[str, Tensor], Loss]:
    """Weights of two dimensions or more in float64, and the loss as a function of them."""
    model = model.double().train()
    images, labels = batch[0].double(), batch[1]
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    weights = {n: p.detach() for n, p in model.named_parameters() if p.dim() > 1}

    def loss(values: dict[str, Tensor]) -> Tensor:
        copies = {name: value.clone() for name, value in state.items()}
        return F.cross_entropy(functional_call(model, {**copies, **values}, (images,)), labels)

    return weights, loss


def slopes_by_difference(weights: dict[str, Tensor], loss: Loss) -> dict[str, Tensor]:
    """Central differences, weight by weight."""
    found = {}
    for name, weight in weights.items():
        slope = torch.zeros_like(weight)
        for place in range(weight.numel()):
            step = torch.zeros_like(weight)
            step.view(-1)[place] = 1e-6
            difference = loss({**weights, name: weight + step}) - loss(
                {**weights, name: weight - step}
            )
            slope.view(-1)[place] = difference / 2e-6
        found[name] = slope
    return found


def double(model: nn.Module, batch: Batch) -> tuple[nn.Module, Batch]:
    return model.double(), (batch[0].double(), batch[1])


def test_sums_are_those_of_finite_differences(network: nn.Module, small_batch: Batch) -> None:
    weights, loss = weights_and_loss(network, small_batch)
    slopes = slopes_by_difference(weights, loss)
    found = double(network, small_batch)
    assert snip(*found) == pytest.approx(
        sum(float((weights[n] * slopes[n]).abs().sum()) for n in weights), rel=1e-5
    )
    assert plain(*found) == pytest.approx(
        sum(float((weights[n] * slopes[n]).sum()) for n in weights), abs=1e-6
    )
    assert gradient_norm(*found) == pytest.approx(
        sum(float(slopes[n].norm()) for n in weights), rel=1e-5
    )
    assert saliencies(*found)["snip"] == snip(*found)


def test_l2_norm_of_a_hand_worked_network() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
        model[1].weight.copy_(torch.tensor([[5.0, 12.0]]))
    assert l2_norm(model, (torch.zeros(1, 2), torch.zeros(1))) == pytest.approx(5 + 13)


def test_grasp_is_that_of_the_explicit_hessian(small_batch: Batch) -> None:
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Conv2d(3, 2, 3, stride=3, bias=False),
        nn.BatchNorm2d(2),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(8, 4),
    )
    weights, loss = weights_and_loss(model, small_batch)
    slopes, curves = grad(loss)(weights), jacrev(grad(loss))(weights)
    expected = 0.0
    for name, weight in weights.items():
        rows = [
            curves[name][other].reshape(weight.numel(), -1) @ slopes[other].flatten()
            for other in weights
        ]
        expected -= float(weight.flatten() @ sum(rows))
    assert grasp(*double(model, small_batch)) == pytest.approx(expected, rel=1e-9)


def test_zico_is_the_published_sum_over_layers(network: nn.Module, small_batch: Batch) -> None:
    expected = 0.0
    halves = [
        (small_batch[0][part].double(), small_batch[1][part]) for part in ([0, 1, 2], [3, 4, 5])
    ]
    found = []
    for half in halves:
        weights, loss = weights_and_loss(network, half)
        found.append(grad(loss)(weights))
    for name in found[0]:
        first, second = (slopes[name].flatten().tolist() for slopes in found)
        ratios = [
            (abs(a) + abs(b)) / 2 / math.sqrt(((a - m) ** 2 + (b - m) ** 2) / 2)
            for a, b, m in zip(
                first,
                second,
                [(a + b) / 2 for a, b in zip(first, second, strict=True)],
                strict=True,
            )
            if a != b
        ]
        expected += math.log(sum(ratios))
    assert zico(*double(network, small_batch)) == pytest.approx(expected, rel=1e-6)


def test_zico_without_variation_is_zero() -> None:
    model = nn.Linear(4, 3)
    images = torch.ones(6, 4)
    assert zico(model, (images, torch.zeros(6, dtype=torch.long))) == 0
    with pytest.raises(ValueError, match="1 images in 2 parts"):
        zico(model, (images[:1], torch.zeros(1, dtype=torch.long)))


LABELLED: dict[str, Metric] = {
    "snip": snip,
    "plain": plain,
    "gradient_norm": gradient_norm,
    "grasp": grasp,
    "zico": zico,
}


@pytest.fixture(params=LABELLED)
def labelled(request: pytest.FixtureRequest) -> Metric:
    return LABELLED[request.param]


def test_batch_normalisation_is_by_the_batch_in_every_mode(
    labelled: Metric, small_batch: Batch, network: nn.Module
) -> None:
    scores = [labelled(network.train(mode), small_batch) for mode in (True, False)]
    assert scores[0] == scores[1]


def test_what_cannot_be_scored_is_an_error(labelled: Metric, network: nn.Module) -> None:
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])
    with pytest.raises(ValueError, match="labels must be at least one, from 0 to 3"):
        labelled(network, (images, labels + 1))
    with pytest.raises(ValueError, match="loss is not finite"):
        labelled(network, (images * float("nan"), labels))
    with pytest.raises(ValueError, match="no weights"):
        labelled(nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(4)), (images, labels))
    with pytest.raises(ValueError, match=r"needs \(batch, classes\)"):
        labelled(nn.Conv2d(3, 4, 3), (images, labels))


class InfiniteSlope(nn.Module):
    """The root of zero: a finite value with an infinite slope."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.layer(x) * 0).abs().sqrt()


def test_a_gradient_that_is_not_finite_is_an_error(labelled: Metric) -> None:
    batch = torch.ones(4, 3), torch.tensor([0, 1, 1, 1])
    with pytest.raises(ValueError, match=r"gradient of layer\.weight is not finite"):
        labelled(InfiniteSlope(), batch)


def test_dead_weights_count_as_zero_and_need_no_gradient() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    model.unused = nn.Linear(7, 7)
    batch = torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
    alone = nn.Linear(3, 2)
    alone.load_state_dict({k: v for k, v in model.state_dict().items() if "unused" not in k})
    for name in ("snip", "plain", "gradient_norm", "grasp", "zico"):
        assert LABELLED[name](model, batch) == pytest.approx(LABELLED[name](alone, batch))
    frozen = nn.Linear(3, 2).requires_grad_(False)
    assert snip(frozen, batch) > 0
    with torch.no_grad():
        assert snip(frozen, batch) > 0
