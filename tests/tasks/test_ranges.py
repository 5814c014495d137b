"""Random choices fill their ranges and follow their weights."""

import math

import torch

from nascence.tasks.ranges import choice, happens, log_uniform, uniform


def test_numbers_fill_their_range_evenly(generator: torch.Generator) -> None:
    found = torch.tensor([uniform(-1, 3, generator=generator) for _ in range(2000)])
    assert found.min() >= -1
    assert found.max() <= 3
    assert abs(found.mean() - 1) < 0.1
    logs = torch.tensor([log_uniform(0.01, 100, generator=generator) for _ in range(2000)]).log10()
    assert logs.abs().max() <= 2 + 1e-6
    assert abs(logs.mean()) < 0.1
    assert abs(logs.std() - 4 / math.sqrt(12)) < 0.05


def test_choices_follow_their_weights(generator: torch.Generator) -> None:
    found = [choice([2, 0, 1, 1], generator=generator) for _ in range(4000)]
    shares = [found.count(k) / 4000 for k in range(4)]
    for share, known in zip(shares, (0.5, 0, 0.25, 0.25), strict=True):
        assert abs(share - known) < 0.03
    rate = sum(happens(0.3, generator=generator) for _ in range(4000)) / 4000
    assert abs(rate - 0.3) < 0.03
