"""The small optimizer: near Adam untrained, and free of scale."""

import pytest
import torch

from nascence.optim import Adam, Small
from nascence.optim.contract import LearnedOptimizer
from nascence.optim.time_features import TIME_FEATURES
from nascence.params import Params


def directions(
    optimizer: LearnedOptimizer, scale: float, steps: int = 30
) -> tuple[torch.Tensor, Params]:
    generator = torch.Generator().manual_seed(0)
    params = {"w": torch.randn(12, 9, generator=generator)}
    state = optimizer.init(params)
    with torch.no_grad():
        for _ in range(steps):
            grads = {"w": scale * torch.randn(12, 9, generator=generator)}
            updates, state = optimizer.update(grads, state, params)
    return updates["w"].flatten(), state["tensors"]["w"]


def test_an_untrained_one_is_nearly_adam() -> None:
    ours, adam = directions(Small(), 1.0)[0], directions(Adam(1e-3), 1.0)[0]
    assert torch.cosine_similarity(ours, adam, dim=0) > 0.99
    assert 0.9 < ours.norm() / adam.norm() < 1.1


def test_the_scale_of_the_gradient_does_not_matter(generator: torch.Generator) -> None:
    optimizer = Small(8)
    with torch.no_grad():
        for value in optimizer.parameters():
            value.add_(0.1 * torch.randn(value.shape, generator=generator))
    one, thousand = directions(optimizer, 1.0)[0], directions(optimizer, 1e3)[0]
    torch.testing.assert_close(one, thousand, rtol=1e-3, atol=1e-6)


def test_weights_made_by_hand_give_a_rate_of_choice() -> None:
    optimizer = Small(learning_rate=1e-3)
    with torch.no_grad():
        optimizer.outer.zero_()
        optimizer.rate[TIME_FEATURES] = 0.2  # the constant input, times 5
    ours, adam = directions(optimizer, 1.0)[0], directions(Adam(1e-3 * 2.718281828), 1.0)[0]
    torch.testing.assert_close(ours, adam, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("size", [1e-25, 1e-8, 1e12, 3e38])
def test_no_finite_gradient_gives_anything_else(size: float) -> None:
    update, slots = directions(Small(), size, steps=3)
    assert torch.isfinite(update).all()
    assert all(torch.isfinite(value).all() for value in slots.values())
    assert update.abs().max() < 0.01


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="hidden=0"):
        Small(0)
