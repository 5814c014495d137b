"""The Zen score against its definition, by hooks and by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from nascence.metrics import Batch, zen


class Features(nn.Module):
    """Two layers, the global average and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.last = nn.Conv2d(6, 4, 3, padding=1)
        self.final_norm = nn.BatchNorm2d(4)
        self.classifier = nn.Linear(4, 10)

    def features(self, x: Tensor) -> Tensor:
        return self.final_norm(self.last(self.norm(self.first(x)).relu())).relu()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


def by_hooks(model: Features, batch: Batch, seed: int) -> float:
    """Draws as the score does: image, change, then the weights in their order."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch[0].shape, generator=generator)
    changed = x + 0.01 * torch.randn(batch[0].shape, generator=generator)
    twin = Features().train()
    with torch.no_grad():
        for name, value in twin.named_parameters():
            if value.dim() > 1:
                value.copy_(torch.randn(value.shape, generator=generator))
            else:
                value.fill_(0.0 if name.endswith("bias") else 1.0)
    given: list[Tensor] = []
    for norm in (twin.norm, twin.final_norm):
        norm.register_forward_pre_hook(lambda m, inputs: given.append(inputs[0]))
    with torch.no_grad():
        difference = twin.features(x) - twin.features(changed)
    score = math.log(difference.abs().sum((1, 2, 3)).mean().item())
    for tensor in given[:2]:
        variances = [tensor[:, c].var().item() for c in range(tensor.shape[1])]
        score += 0.5 * math.log(sum(variances) / len(variances))
    return score


@pytest.mark.parametrize("seed", [0, 3])
def test_score_is_the_definition(seed: int, small_batch: Batch) -> None:
    torch.manual_seed(1)
    model = Features()
    assert zen(model, small_batch, seed=seed) == pytest.approx(
        by_hooks(model, small_batch, seed), rel=1e-5
    )


def test_own_weights_and_pixels_do_not_count(small_batch: Batch) -> None:
    scores = set()
    for seed in range(3):
        torch.manual_seed(seed)
        scores.add(zen(Features().train(seed == 1), (torch.randn(6, 3, 8, 8), small_batch[1])))
    assert len(scores) == 1
    assert zen(Features(), small_batch, seed=1) not in scores


def test_a_network_without_maps_is_measured_at_its_output() -> None:
    """ln E |W 0.01 e|_1 for one output of n inputs is ln(0.01 sqrt(n) sqrt(2 / pi)) on average."""
    model = nn.Linear(400, 50, bias=False)
    found = zen(model, (torch.zeros(200, 400), torch.zeros(200)))
    assert found == pytest.approx(math.log(50 * 0.01 * 20 * math.sqrt(2 / math.pi)), abs=0.1)


def test_a_change_that_does_not_arrive_is_the_worst(small_batch: Batch) -> None:
    class Cut(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x), 4)

    assert zen(Cut(), small_batch) == -math.inf


def test_what_is_not_finite_is_an_error(small_batch: Batch) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * float("nan")

    with pytest.raises(ValueError, match="not finite"):
        zen(Broken(), small_batch)
