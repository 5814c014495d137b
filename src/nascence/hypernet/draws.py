"""The random choices of a meta-training run: those of step ``k`` follow from the seed and ``k``."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from nascence.core.randomness import stream
from nascence.graph import Graph
from nascence.hypernet.run_settings import RunSettings
from nascence.params import Params

Network = nn.Module | Callable[[Params, Tensor], Tensor]  # a function takes parameters, images
Networks = Callable[[int], tuple[Graph, Network]]


def network_of(settings: RunSettings, step: int, slot: int, attempt: int) -> int:
    """Which network stands in a slot of a step's meta-batch, after failed attempts."""
    generator = stream(settings.seed, step, slot, attempt, derivation="hypernet")
    return int(torch.randint(settings.networks, (), generator=generator))


class Ahead(Dataset[list[tuple[Graph, Network]]]):
    """The networks of every step from ``start`` on, for worker processes to prepare."""

    def __init__(self, networks: Networks, settings: RunSettings, slots: range, start: int) -> None:
        self.networks, self.settings, self.slots, self.start = networks, settings, slots, start

    def __len__(self) -> int:
        return self.settings.steps - self.start

    def __getitem__(self, index: int) -> list[tuple[Graph, Network]]:
        step = self.start + index
        return [self.networks(network_of(self.settings, step, slot, 0)) for slot in self.slots]
