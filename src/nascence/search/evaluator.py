"""Evaluators: the score of an architecture."""

import hashlib
from collections.abc import Callable

import torch

from nascence.metrics import Batch, Metric
from nascence.spaces import Architecture, SearchSpace, name_of

Evaluator = Callable[[Architecture], float]
"""Score of an architecture, higher is better unless a study minimises it."""


class MetricEvaluator:
    """Builds the network of an architecture and scores it with a metric.

    The network's initialisation, and whatever the metric draws, depend on the seed and the
    architecture alone: the score is the same in any order and any process. The global generator
    stays as it is.

    Args:
        space: builds the networks.
        metric: scores them.
        batch: images and labels for the metric; networks are scored on their device.
        seeds: one or more; the score is the mean over them.
    """

    def __init__(
        self, space: SearchSpace, metric: Metric, batch: Batch, *, seeds: tuple[int, ...] = (0,)
    ) -> None:
        if not seeds:
            raise ValueError("seeds is empty; give at least one")
        self.space, self.metric, self.batch, self.seeds = space, metric, batch, seeds
        self.description = f"{name_of(metric)}, images {tuple(batch[0].shape)}, seeds {seeds}"

    def __call__(self, architecture: Architecture) -> float:
        return sum(self._score(architecture, seed) for seed in self.seeds) / len(self.seeds)

    def _score(self, architecture: Architecture, seed: int) -> float:
        device, seed = self.batch[0].device, derived_seed(seed, architecture)
        on_cuda = device.type == "cuda"
        with torch.random.fork_rng([device] if on_cuda else []):
            torch.default_generator.manual_seed(seed)
            if on_cuda:
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
            return self.metric(self.space.build(architecture).to(device), self.batch)


def derived_seed(seed: int, architecture: Architecture) -> int:
    """Return a seed from 0 to 2^63 - 1 that depends on the seed and the architecture alone."""
    text = f"{seed}:{','.join(map(str, architecture))}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
