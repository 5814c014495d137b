"""Parameters by name go round; wrong ones are named."""

import pytest
import torch
from torch import nn

from nascence import params


def test_parameters_go_round() -> None:
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    loaded = params.load(other, params.of(model))
    assert torch.equal(loaded.weight, model.weight)
    assert not torch.equal(other.weight, model.weight)


def test_parameters_are_copies() -> None:
    model = nn.Linear(3, 2)
    taken = params.of(model)
    taken["weight"].zero_()
    assert model.weight.abs().sum() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop("bias"), "missing, the first is 'bias'"),
        (lambda p: p.update(extra=torch.zeros(1)), "no parameter 'extra'"),
        (lambda p: p.update(bias=torch.zeros(5)), r"'bias' has shape \(5,\).*needs \(2,\)"),
    ],
)
def test_wrong_parameters_are_named(change, message) -> None:
    taken = params.of(nn.Linear(3, 2))
    change(taken)
    with pytest.raises(ValueError, match=message):
        params.load(nn.Linear(3, 2), taken)
