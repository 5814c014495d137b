"""The combination against NumPy's correlations of hooked maps."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.metrics import Batch, channel_independence, live_macs
from nascence.spaces import NB201
from nascence.spaces.cell import Cell, Reduction


def least(maps: Tensor) -> float:
    values = maps[0].flatten(1).numpy().astype(float)
    if len(values) < 2 or values.shape[1] < 2:
        return 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.linalg.eigvalsh(np.nan_to_num(np.corrcoef(values)))[0])


def sums(model: nn.Module, image: Tensor, kinds: tuple[type, ...]) -> float:
    total = 0.0

    def note(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        total += least(output.detach())

    handles = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        model(image)
    for handle in handles:
        handle.remove()
    return total


@pytest.mark.parametrize("cell", [(3, 2, 3, 2, 4, 1), (0, 0, 0, 1, 0, 0), (2, 0, 0, 3, 1, 4)])
def test_score_is_its_formula(cell: tuple[int, ...], small_batch: Batch) -> None:
    torch.manual_seed(0)
    model = NB201(width=4, cells=1).build(cell)
    batch = torch.randn(2, 3, 16, 16), small_batch[1][:2]
    noise = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    a = sums(model.train(), batch[0][:1], (nn.ReLU,))
    b = sums(model.train(), batch[0][:1], (Cell, Reduction))
    for norm in [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]:
        norm.reset_running_stats()
        norm.eps = 0.0
    c = sums(model.eval(), noise, (nn.ReLU,))  # at initialisation it changes nothing
    for norm in [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]:
        norm.eps = 1e-5
    expected = sum(math.log(x + 0.01) for x in (a, b, c)) + math.log(live_macs(model, batch))
    assert channel_independence(model, batch) == pytest.approx(expected, abs=1e-4)


def test_neither_mode_nor_running_statistics_count(small_batch: Batch) -> None:
    torch.manual_seed(0)
    model = NB201(width=4, cells=1).build((3, 0, 0, 1, 3, 0))
    scores = {channel_independence(model.train(mode), small_batch) for mode in (True, False)}
    for norm in [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]:
        norm.running_mean.fill_(7.0)
        norm.running_var.fill_(0.01)
    assert scores == {channel_independence(model.eval(), small_batch)}
    assert channel_independence(model, small_batch, seed=1) not in scores


def test_activations_are_found_as_functions(small_batch: Batch) -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(F.relu_(self.first(x)))

    model = Functional()
    modules = nn.Sequential(model.first, nn.ReLU(), model.last)
    assert channel_independence(model, small_batch) == channel_independence(modules, small_batch)


def test_a_network_that_ignores_its_image_is_the_worst(small_batch: Batch) -> None:
    class Ignores(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x), 4, 5, 5).relu()

    assert channel_independence(Ignores(), small_batch) == -math.inf


def test_what_cannot_be_scored_is_an_error(network: nn.Module, small_batch: Batch) -> None:
    with pytest.raises(ValueError, match="no activation"):
        channel_independence(nn.Conv2d(3, 4, 3), small_batch)
    with pytest.raises(ValueError, match="not finite"):
        channel_independence(network, (small_batch[0] * float("nan"), small_batch[1]))
    assert not any(module._forward_hooks for module in network.modules())
