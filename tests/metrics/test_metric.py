"""Metrics that only count."""

import torch
from torch import nn

from nascence.metrics import macs, parameters


def test_counts_of_a_hand_worked_network() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 64, 5))
    batch = torch.zeros(7, 3, 8, 8), torch.zeros(7, dtype=torch.long)
    assert parameters(model, batch) == 3 * 4 * 9 + 4 + 4 * 64 * 5 + 5
    assert macs(model, batch) == 3 * 4 * 9 * 64 + 4 * 64 * 5
