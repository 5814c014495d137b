"""Several scores combined into one, by their ranks in a fixed population or by a vote."""

import hashlib
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from nascence.metrics.metric import Batch, Metric


def population_scores(
    metrics: Sequence[Metric], networks: Iterable[nn.Module], batch: Batch
) -> NDArray:
    """Score every network of a population with every metric: float64 of ``(networks, metrics)``."""
    rows = [[metric(network, batch) for metric in metrics] for network in networks]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(metrics))


class _Combination:
    """Metrics, and their scores for the networks of a population.

    Its name, which a study records, identifies both the metrics and the population.
    """

    def __init__(self, metrics: Sequence[Metric], population: ArrayLike) -> None:
        values = np.asarray(population, dtype=np.float64)
        if not metrics:
            raise ValueError("no metric is given; a combination needs one or more")
        if values.ndim != 2 or values.shape[1] != len(metrics) or not len(values):
            raise ValueError(
                f"the population's scores have the shape {values.shape}; give one row for each "
                f"network, one or more, and {len(metrics)} columns, one for each metric"
            )
        if np.isnan(values).any():
            raise ValueError("the population's scores hold NaN, which has no rank")
        self.metrics = tuple(metrics)
        self.population = np.sort(values, axis=0)
        names = ", ".join(getattr(metric, "__qualname__", repr(metric)) for metric in metrics)
        digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:8]
        self.__qualname__ = f"{type(self).__name__}({names}; {len(values)} networks {digest})"

    def scores(self, model: nn.Module, batch: Batch) -> list[float]:
        """Return the score of each metric."""
        values = [metric(model, batch) for metric in self.metrics]
        if any(math.isnan(value) for value in values):
            raise ValueError(f"a metric of {self.__qualname__} gave NaN, which has no rank")
        return values


class RankSum(_Combination):
    """A metric: the sum over its metrics of the logarithm of the rank in a fixed population.

    The rank is the share of the population below the network's score, plus half of what equals it,
    from 1 / (2 n + 2) to 1 - 1 / (2 n + 2) for n networks: the logarithm makes a score that calls a
    network bad count for more than one that calls it good (Lee and Ham, "AZ-NAS", CVPR 2024, whose
    ranks are those among the networks to be compared). With a fixed population, the score of a
    network does not depend on which others it is compared with.

    Args:
        metrics: to combine, each higher for better networks.
        population: what they give for random networks of the space, (networks, metrics), as
            :func:`population_scores` does, with the batch that networks are scored on.

    Raises:
        ValueError: no metric, no network, shapes that do not fit, NaN.
    """

    def __call__(self, model: nn.Module, batch: Batch) -> float:
        """Return the sum for a network, 0 at most."""
        total = 0.0
        for value, column in zip(self.scores(model, batch), self.population.T, strict=True):
            below, within = (np.searchsorted(column, value, side) for side in ("left", "right"))
            total += math.log((below + within + 1) / (2 * len(column) + 2))
        return total


class Vote(_Combination):
    """A metric: the share of a fixed population that the network beats by a majority of metrics.

    Abdelfattah et al. (2021) let three scores vote which of two networks is better; here a network
    is compared with each one of the population. Arguments and errors are those of :class:`RankSum`.
    """

    def __init__(self, metrics: Sequence[Metric], population: ArrayLike) -> None:
        super().__init__(metrics, population)
        self._networks = np.asarray(population, dtype=np.float64)

    def __call__(self, model: nn.Module, batch: Batch) -> float:
        """Return the share that loses against this one on ``(B, C, H, W)``, ``(B,)``: 0 to 1."""
        values = np.array(self.scores(model, batch))
        for_it, against = values > self._networks, values < self._networks
        return float((for_it.sum(axis=1) > against.sum(axis=1)).mean())
