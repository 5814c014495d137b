"""The feed-forward optimizer: near Adam untrained, still at weights of zero."""

import pytest
import torch

from nascence.optim import Adam, FeedForward, Hierarchical, LearnedOptimizer
from nascence.params import Params


def trajectory(optimizer: LearnedOptimizer, *, reverse: bool = False) -> Params:
    generator = torch.Generator().manual_seed(0)
    shapes = {"a": (5, 4), "b": (6,), "c": ()}
    params = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    state = optimizer.init(params)
    with torch.no_grad():
        for _ in range(20):
            grads = {n: torch.randn(v.shape, generator=generator) for n, v in params.items()}
            if reverse:
                grads = dict(reversed(grads.items()))
            updates, state = optimizer.update(grads, state, params, loss=torch.tensor(1.0))
            params = {name: value + updates[name] for name, value in params.items()}
    return params


@pytest.mark.parametrize("kind", [FeedForward, Hierarchical])
def test_with_a_silent_network_it_is_adam(kind: type[FeedForward | Hierarchical]) -> None:
    optimizer = kind(nominal=0.01)
    with torch.no_grad():
        optimizer.network["last"].zero_()
    torch.testing.assert_close(trajectory(optimizer), trajectory(Adam(0.01)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [FeedForward, Hierarchical])
def test_an_untrained_one_is_nearly_adam(kind: type[FeedForward | Hierarchical]) -> None:
    ours, adam = trajectory(kind(nominal=0.01)), trajectory(Adam(0.01))
    for name, value in ours.items():
        assert (value - adam[name]).abs().max() < 0.02 * 20 * 0.01


@pytest.mark.parametrize("kind", [FeedForward, Hierarchical])
def test_with_weights_of_zero_nothing_moves(kind: type[FeedForward | Hierarchical]) -> None:
    optimizer, still = kind(nominal=None), kind(nominal=None)
    with torch.no_grad():
        for value in still.network.values():
            value.zero_()
    start = trajectory(still)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(start["a"], torch.randn(5, 4, generator=generator))
    assert not torch.equal(start["a"], trajectory(optimizer)["a"])


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden=0"):
        FeedForward(0)
