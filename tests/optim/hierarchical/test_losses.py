"""Running means of losses, some of them not finite."""

import torch

from nascence.optim.hierarchical.losses import empty_tracker, loss_inputs, track


def test_constant_losses_are_their_own_mean() -> None:
    state = empty_tracker()
    for _ in range(20):
        state = track(state, torch.tensor(3.0), torch.tensor(3.0))
    assert loss_inputs(state, torch.tensor(3.0)).abs().max() < 0.2


def test_overfitting_shows() -> None:
    state = empty_tracker()
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        state = track(state, 1 + 0.1 * torch.randn((), generator=generator), torch.tensor(1.3))
    train, valid = loss_inputs(state, torch.tensor(1.0))
    assert abs(train) < 1.5
    assert 2 < valid <= 5


def test_a_loss_that_is_missing_or_not_finite_changes_nothing() -> None:
    state = track(empty_tracker(), torch.tensor(2.0), None)
    for loss in (None, torch.tensor(torch.nan), torch.tensor(torch.inf)):
        assert track(state, loss, loss) == state
        assert not loss_inputs(state, loss).any()
