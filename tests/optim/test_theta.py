"""Theta goes to a vector and back."""

import torch

from nascence.optim import Small
from nascence.optim.theta import fill_, flatten, unflatten


def test_there_and_back() -> None:
    one, other = Small(4), Small(4, generator=torch.Generator().manual_seed(5))
    fill_(other, flatten(one))
    assert torch.equal(flatten(other), flatten(one))
    stacked = unflatten(one, torch.stack([flatten(one), 2 * flatten(one)]))
    for name, value in one.named_parameters():
        assert torch.equal(stacked[name], torch.stack([value, 2 * value]))
