"""A score that any strategy learns, and the loop that asks and tells it."""

import torch

from nascence.search import Strategy
from nascence.spaces import Architecture


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def additive(architecture: Architecture) -> float:
    return float(sum(index * (place % 3) for place, index in enumerate(architecture)))


def run(strategy: Strategy, trials: int, score=additive) -> list[Architecture]:
    asked = []
    for _ in range(trials):
        asked.append(strategy.ask())
        strategy.tell(asked[-1], score(asked[-1]))
    return asked
