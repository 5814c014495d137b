"""Multiply-adds of the live part against networks built without the rest."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.metrics import live_macs, macs
from nascence.spaces import NB201

IMAGES = torch.randn(2, 3, 8, 8), torch.zeros(2, dtype=torch.long)


def test_all_of_a_network_without_dead_parts_is_live() -> None:
    torch.manual_seed(0)
    model = NB201(width=4, cells=1).build((3, 2, 3, 2, 4, 1))
    assert live_macs(model, IMAGES) == macs(model, IMAGES)
    attention = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), Transposed(), nn.TransformerEncoderLayer(8, 2, 16)
    )
    assert live_macs(attention, IMAGES) == macs(attention, IMAGES)


class Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


def test_dead_edges_of_the_benchmark_are_left_out() -> None:
    """The cells with dead edges built in against the same cells built without them."""
    whole, kept = NB201(width=4, cells=1, prune=False), NB201(width=4, cells=1)
    generator = torch.Generator().manual_seed(5)
    differ = 0
    for _ in range(12):
        architecture = kept.sample(generator=generator)
        found = live_macs(whole.build(architecture), IMAGES)
        if kept.macs(architecture, side=8) > kept.macs((0,) * 6, side=8):
            assert found == kept.macs(architecture, side=8)
        differ += found != whole.macs(architecture, side=8)
    assert differ


class Partial(nn.Module):
    """One layer is read, one reads a constant, one is read by nothing; sums in place."""

    def __init__(self) -> None:
        super().__init__()
        self.live, self.constant, self.unread = (nn.Linear(6, 6) for _ in range(3))
        self.offset = nn.Parameter(torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        self.unread(x)
        y = torch.zeros_like(x)
        y += self.constant(torch.ones_like(x) + self.offset)
        y.add_(F.relu_(self.live(x)))
        return y[:, :3]


def test_hand_worked_network() -> None:
    assert live_macs(Partial(), (torch.randn(3, 6), torch.zeros(3))) == 36
    assert macs(Partial(), (torch.randn(3, 6), torch.zeros(3))) == 3 * 36


def test_a_network_that_ignores_its_image_has_none() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.new_zeros(len(x), 4))

    assert live_macs(Constant(), IMAGES) == 0


def test_mode_is_restored() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout()).train()
    with pytest.raises(ValueError, match=r"images of shape \(1, 3\): mat1 and mat2 shapes"):
        live_macs(model, (torch.randn(1, 3), torch.zeros(1)))
    assert model.training
    assert model[1].training


class Square(nn.Module):
    """A bilinear form of an image with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.form = nn.Bilinear(3, 3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.form(x, x)


def test_what_torch_leaves_out_is_counted() -> None:
    assert live_macs(Square(), (torch.randn(2, 3), torch.zeros(2))) == 3 * 3 * 5
