"""Channel saliency against activations and their gradients kept by hooks."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.metrics import Batch, fisher


def by_hooks(model: nn.Module, batch: Batch) -> float:
    """Half the mean square of sum_hw a dL/da of each channel, times the weights it has."""
    kept: list[tuple[nn.Module, Tensor]] = []

    def keep(module: nn.Module, _: object, output: Tensor) -> None:
        output.retain_grad()
        kept.append((module, output))

    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(keep) for layer in layers]
    F.cross_entropy(model.train()(batch[0]), batch[1]).backward()
    for handle in handles:
        handle.remove()
    total = 0.0
    for layer, output in kept:
        assert output.grad is not None
        product = (output * output.grad).detach()
        sums = product.flatten(2).sum(2) if product.dim() > 2 else product
        total += float((sums.square().mean(0) / 2).sum()) * layer.weight[0].numel()
    model.zero_grad()
    return total


def test_score_is_that_of_hooks(network: nn.Module, small_batch: Batch) -> None:
    assert fisher(network, small_batch) == pytest.approx(by_hooks(network, small_batch), rel=1e-5)


class Functional(nn.Module):
    """The same layers as functions, the rectifier in place on the convolution's output."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.kernel, self.shift = layers[0].weight, layers[0].bias
        self.matrix = layers[3].weight

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(F.conv2d(x, weight=self.kernel, bias=self.shift))
        return F.linear(x.mean((2, 3)), self.matrix)


def test_layers_are_found_as_functions(small_batch: Batch) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Linear(5, 4, bias=False)
    )
    model = nn.Sequential(*layers[:3], nn.Flatten(), layers[3])
    expected = by_hooks(model, small_batch)
    assert fisher(Functional(layers), small_batch) == pytest.approx(expected, rel=1e-5)


def test_hand_worked_network() -> None:
    """One weight w = 2, input 3, two logits (6, 0), label 0."""

    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv1d(1, 1, 1, bias=False)
            nn.init.constant_(self.layer.weight, 2.0)

        def forward(self, x: Tensor) -> Tensor:
            a = self.layer(x).flatten(1)
            return torch.cat([a, torch.zeros_like(a)], dim=1)

    slope = torch.softmax(torch.tensor([6.0, 0.0]), 0)[0].item() - 1
    found = fisher(Single(), (torch.tensor([[[3.0]]]), torch.tensor([0])))
    assert found == pytest.approx((6 * slope) ** 2 / 2, rel=1e-4)


def test_transposed_convolutions_count_their_own_channels(small_batch: Batch) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.ConvTranspose2d(3, 2, 2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 4)
    )
    layer = model[0]
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda m, i, o: (o.retain_grad(), kept.append(o))[-1])
    output = model(small_batch[0])
    F.cross_entropy(output, small_batch[1]).backward()
    handle.remove()
    model.zero_grad()
    sums = (kept[0] * kept[0].grad).detach().flatten(2).sum(2)
    first = float((sums.square().mean(0) / 2).sum()) * 3 * 4
    assert first < fisher(model, small_batch)
    frozen = nn.Sequential(*model[:3], Cut(model[3]))
    assert fisher(frozen, small_batch) == pytest.approx(first, rel=1e-4)


class Cut(nn.Module):
    """A linear layer written as a product, which is not a layer."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.matrix, self.shift = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, None] * self.matrix).sum(2) + self.shift


def test_what_cannot_be_scored_is_an_error(network: nn.Module, small_batch: Batch) -> None:
    with pytest.raises(ValueError, match="no convolution and no linear layer"):
        fisher(nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(4)), small_batch)
    with pytest.raises(ValueError, match="loss is not finite"):
        fisher(network, (small_batch[0] * float("nan"), small_batch[1]))
    with pytest.raises(ValueError, match="labels must be"):
        fisher(network, (small_batch[0], small_batch[1] + 3))
