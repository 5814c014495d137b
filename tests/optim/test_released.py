"""The released weights and where they come from."""

import torch
from torch import nn

from nascence.optim import Learned, Small, load, read_card
from nascence.optim.theta import flatten


def test_the_released_weights_say_where_they_come_from_and_move_a_network() -> None:
    optimizer, card = load("optimizer-small"), read_card("optimizer-small")
    assert isinstance(optimizer, Small)
    assert not torch.equal(flatten(optimizer), flatten(Small()))
    assert card["outer_steps"] > 0
    assert card["evaluation"]["trained"] < card["evaluation"]["adam 0.001"]
    value = nn.Parameter(torch.ones(4, 4))
    released = Learned([value], num_steps=30)
    for _ in range(30):
        released.zero_grad()
        value.square().sum().backward()
        released.step()
    assert value.abs().max() < 1
