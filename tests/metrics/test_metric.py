"""Metrics that only count."""

import pytest
import torch
from torch import nn

from nascence.metrics import macs, parameters
from nascence.metrics.metric import unwrapped


def test_counts_of_a_hand_worked_network() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 64, 5))
    batch = torch.zeros(7, 3, 8, 8), torch.zeros(7, dtype=torch.long)
    assert parameters(model, batch) == 3 * 4 * 9 + 4 + 4 * 64 * 5 + 5
    assert macs(model, batch) == 3 * 4 * 9 * 64 + 4 * 64 * 5


@pytest.mark.filterwarnings("ignore:.*script_method.* is deprecated:DeprecationWarning")
def test_wrappers_are_taken_off() -> None:
    model = nn.Linear(2, 2)
    assert unwrapped(model) is model
    assert unwrapped(nn.DataParallel(model)) is model
    assert unwrapped(torch.compile(nn.DataParallel(model))) is model


def test_what_a_network_refuses_is_one_line() -> None:
    batch = torch.zeros(2, 5), torch.zeros(2)
    with pytest.raises(ValueError, match=r"does not take images of shape \(2, 5\): mat1") as caught:
        macs(nn.Linear(2, 2), batch)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="holds no image"):
        macs(nn.Linear(5, 2), (batch[0][:0], batch[1][:0]))
