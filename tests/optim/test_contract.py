"""The pieces of the contract that the suite of `nascence.testing.optimizers` does not reach."""

import pytest
import torch

from nascence.optim import SGD
from nascence.optim.contract import copied, horizon, init_stacked


def test_a_length_that_is_unknown_is_infinite() -> None:
    assert horizon(None).isinf()
    assert horizon(3).item() == 3
    assert horizon(torch.tensor(4)).dtype == torch.float32
    for steps in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="it must be positive"):
            horizon(steps)


def test_a_copy_and_a_stacked_state_share_no_memory() -> None:
    params = {"a": torch.zeros(2, 3), "b": torch.zeros(2)}
    state = init_stacked(SGD(), params, num_steps=torch.full((2,), 5.0))
    other = copied(state)
    for held in (state, other):
        held["tensors"]["a"]["momentum"][0] += 1
        held["shared"]["num_steps"][0] += 1
    for held in (state, other):
        assert held["tensors"]["a"]["momentum"].tolist() == [[1.0] * 3, [0.0] * 3]
        assert held["tensors"]["b"]["step"].tolist() == [0.0, 0.0]
        assert held["shared"]["num_steps"].tolist() == [6.0, 5.0]
