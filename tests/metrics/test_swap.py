"""Patterns of units against a count by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.metrics import swap


def labels(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.long)


class TwoLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(3, 40), nn.Linear(40, 30)

    def hidden(self, x: Tensor) -> list[Tensor]:
        first = self.first(x)
        return [first, self.last(F.relu(first))]

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.last(F.relu(self.first(x))))


@pytest.mark.parametrize("images", [1, 2, 5, 8, 63, 64, 65, 130])
def test_count_is_that_of_a_set(images: int) -> None:
    model = TwoLayers()
    x = torch.randn(images, 3, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        codes = torch.cat([value > 0 for value in model.hidden(x)], dim=1)
    expected = len({tuple(column) for column in codes.T.tolist()})
    assert swap(model, (x, labels(images))) == expected


def test_hand_worked_network() -> None:
    """Units x, -x, x - 2, x + 9 for images -1, 1, 3: patterns 011, 100, 001, 111."""
    layer = nn.Linear(1, 5)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0], [-1.0], [1.0], [1.0], [2.0]]))
        layer.bias.copy_(torch.tensor([0.0, 0.0, -2.0, 9.0, 0.0]))
    x = torch.tensor([[-1.0], [1.0], [3.0]])
    assert swap(nn.Sequential(layer, nn.ReLU()), (x, labels(3))) == 4


def test_what_cannot_be_scored_is_an_error() -> None:
    with pytest.raises(ValueError, match="no activation"):
        swap(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), (torch.randn(4, 3), labels(4)))
    with pytest.raises(ValueError, match="not finite"):
        swap(TwoLayers(), (torch.full((4, 3), float("nan")), labels(4)))
