"""Features of time at known steps."""

import math

import torch

from nascence.optim.time_features import TIME_FEATURES, time_features


def test_known_values() -> None:
    step = torch.tensor(10.0)
    found = time_features(step, torch.tensor(40.0))
    assert found.shape == (TIME_FEATURES,)
    expected = [math.tanh(10 / tau - 1) for tau in (1, 3, 10, 32, 100)]
    torch.testing.assert_close(found[:5], torch.tensor(expected))
    expected = [math.tanh(10 * (0.25 - mark / 8)) for mark in range(9)]
    torch.testing.assert_close(found[11:20], torch.tensor(expected))
    assert found[20] == 1


def test_an_unknown_length_is_silent_and_an_overrun_stays_at_the_end() -> None:
    step = torch.tensor([100.0, 200.0])
    assert not time_features(step, torch.full((2,), torch.inf))[:, 11:].any()
    by_fraction = time_features(step, torch.full((2,), 100.0))[:, 11:]
    assert torch.equal(by_fraction[0], by_fraction[1])
