"""An evaluator that sums the ranks of several metrics."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from nascence.metrics import Batch, Metric, RankSum, population_scores
from nascence.search.evaluator import MetricEvaluator, derived_seed
from nascence.spaces import SearchSpace


def rank_evaluator(
    space: SearchSpace,
    metrics: Sequence[Metric],
    batch: Batch,
    *,
    reference: int = 100,
    seed: int = 0,
    seeds: tuple[int, ...] = (0,),
) -> MetricEvaluator:
    """Return an evaluator that gives the sum of the logarithms of the metrics' ranks.

    Ranks are those in ``reference`` random architectures of the space, scored here and now, so
    that a network's score does not depend on what else is evaluated.

    Args:
        space: builds the networks.
        metrics: to sum, each higher for better networks.
        batch: images and labels for the metrics.
        reference: number of random architectures; they cost as much as as many trials.
        seed: of the architectures and their initial weights.
        seeds: of :class:`MetricEvaluator`.

    Raises:
        ValueError: no metric, or a reference of fewer than one.
    """
    if reference < 1:
        raise ValueError(f"reference is {reference}; ranks need 1 architecture or more, 100 say")
    population = population_scores(metrics, _networks(space, batch, reference, seed), batch)
    return MetricEvaluator(space, RankSum(metrics, population), batch, seeds=seeds)


def _networks(space: SearchSpace, batch: Batch, count: int, seed: int) -> Iterator[nn.Module]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        architecture = space.sample(generator=generator)
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(derived_seed(seed, architecture))
            network = space.build(architecture)
        yield network.to(batch[0].device)
