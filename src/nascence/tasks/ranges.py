"""Random choices as the published distributions of tasks make them (Metz et al. 2020, TaskSet)."""

import math
from collections.abc import Sequence

import torch


def uniform(low: float, high: float, *, generator: torch.Generator) -> float:
    """A number between ``low`` and ``high``."""
    return low + (high - low) * torch.rand((), generator=generator).item()


def log_uniform(low: float, high: float, *, generator: torch.Generator) -> float:
    """A number between two positive ones whose logarithm is uniform."""
    return math.exp(uniform(math.log(low), math.log(high), generator=generator))


def happens(probability: float, *, generator: torch.Generator) -> bool:
    """True with this probability."""
    return torch.rand((), generator=generator).item() < probability


def choice(weights: Sequence[float], *, generator: torch.Generator) -> int:
    """A position, with a probability proportional to its weight."""
    reached = torch.rand((), generator=generator).item() * sum(weights)
    for position, weight in enumerate(weights):
        reached -= weight
        if reached < 0:
            return position
    return len(weights) - 1
