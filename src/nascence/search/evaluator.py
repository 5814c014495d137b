"""Evaluators: the score of an architecture."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from nascence.core.randomness import derived_seed, seeded
from nascence.data import Dataset, Table
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
        batch: images ``(B, C, H, W)`` and labels ``(B,)`` for the metric; networks are scored on
            their device.
        seeds: one or more; the score is the mean over them.

    Raises:
        ValueError: ``seeds`` is empty.
    """

    def __init__(
        self, space: SearchSpace, metric: Metric, batch: Batch, *, seeds: tuple[int, ...] = (0,)
    ) -> None:
        if not seeds:
            raise ValueError("seeds is empty; give at least one")
        self.space, self.metric, self.batch, self.seeds = space, metric, batch, seeds
        self.description = f"{name_of(metric)}, images {tuple(batch[0].shape)}, seeds {seeds}"

    def __call__(self, architecture: Architecture) -> float:
        """Score the network of an architecture, the mean over the seeds."""
        return sum(self._score(architecture, seed) for seed in self.seeds) / len(self.seeds)

    def _score(self, architecture: Architecture, seed: int) -> float:
        device, seed = self.batch[0].device, derived_seed(seed, *architecture, derivation="search")
        with seeded(seed, device):
            return self.metric(self.space.build(architecture).to(device), self.batch)


class TableEvaluator:
    """Looks up the score of an architecture in a table of trained networks.

    Args:
        space: whose architectures are asked for; its decisions must be those of the table.
        table: such as :func:`nascence.data.nb201`.
        data: data set of the table; by default its first.
        accuracy: which of its accuracies on that data set; by default ``test``, or the first.

    Raises:
        ValueError: a space of other decisions; a data set or an accuracy that the table lacks.
    """

    def __init__(
        self, space: SearchSpace, table: Table, *, data: str = "", accuracy: str = ""
    ) -> None:
        if tuple(tuple(decision) for decision in space.decisions) != table.decisions:
            raise ValueError(
                f"the table of {table.name} is of another space: its decisions are "
                f"{', '.join(name for name, _ in table.decisions)}, those of the space "
                f"{', '.join(decision.name for decision in space.decisions)}"
            )
        self.space, self.table = space, table
        self._name = table.accuracy_name(data, accuracy)
        self._values = table.columns[self._name]
        self.description = f"{table.name}, {self._name}"

    def __call__(self, architecture: Architecture) -> float:
        """Look up an architecture; ``ValueError`` where the table has no value."""
        value = float(self._values[self.table.row(architecture)])
        if math.isnan(value):
            raise ValueError(
                f"the table of {self.table.name} has no {self._name} of "
                f"{self.space.format(architecture)}"
            )
        return value


class TrainingEvaluator:
    """Trains the network of an architecture alone: its accuracy on the validation images.

    Every network gets the same budget and, like :class:`MetricEvaluator`, a seed that depends on
    the architecture alone.

    Args:
        space: builds the networks.
        data: images to train on, and the validation images.
        steps: steps of each training; or
        seconds: time for each training; the score then depends on the machine's speed.
        learning_rate: learning rate of SGD with Nesterov momentum and a cosine schedule.
        batch_size: images of a step.
        seed: seed of initialisation and batches.
        device: where to train.

    Raises:
        ValueError: neither ``steps`` nor ``seconds`` is given.
    """

    def __init__(
        self,
        space: SearchSpace,
        data: Dataset,
        *,
        steps: int | None = None,
        seconds: float | None = None,
        learning_rate: float = 0.1,
        batch_size: int = 128,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if steps is None and seconds is None:
            raise ValueError("neither steps nor seconds is given; give one or both")
        self.space, self.data = space, data
        self._budget = {"steps": steps, "seconds": seconds}
        self._learning_rate, self._batch_size = learning_rate, batch_size
        self._seed, self._device = seed, device
        self.description = (
            f"training on {data.fingerprint}, steps {steps}, seconds {seconds}, learning rate "
            f"{learning_rate}, batch size {batch_size}, seed {seed}"
        )

    def __call__(self, architecture: Architecture) -> float:
        """Train and return the accuracy, from 0 to 1; 0 where the loss is not finite."""
        from nascence.training import DivergenceError, sgd, train, unmeasured_precision

        seed = derived_seed(self._seed, *architecture, derivation="search")
        with seeded(seed):
            model = self.space.build(architecture)
        try:
            training = train(
                model,
                self.data,
                optimizer=sgd(self._learning_rate),
                generator=torch.Generator().manual_seed(seed),
                steps=self._budget["steps"],  # type: ignore[arg-type]
                seconds=self._budget["seconds"],
                batch_size=self._batch_size,
                measurements=1,
                device=self._device,
                precision=unmeasured_precision(self._device),  # one architecture has one score
            )
        except DivergenceError:
            return 0.0  # a network that cannot be trained so is one of the worst
        return training.curve[-1].accuracy


class RankSumEvaluator:
    """Sum of the ranks that several evaluators give an architecture in a fixed population.

    A rank is the share of the population with a lower score, ties counted half, from 0 to 1: the
    sum is monotone in each score, whatever its unit, and does not change while a search goes on.

    Args:
        evaluators: by name.
        population: architectures to rank among, such as a random sample; each is scored by every
            evaluator when the first rank is asked for.

    Raises:
        ValueError: there is no evaluator, or no architecture.
    """

    def __init__(
        self, evaluators: Mapping[str, Evaluator], population: Sequence[Architecture]
    ) -> None:
        if not evaluators:
            raise ValueError("evaluators is empty; give at least one")
        if not population:
            raise ValueError("the population is empty; ranks need at least one architecture")
        self.evaluators, self.population = dict(evaluators), tuple(population)
        self._sorted: dict[str, np.ndarray] = {}
        digest = hashlib.sha256(repr(self.population).encode()).hexdigest()[:12]
        names = [
            getattr(evaluator, "description", name) for name, evaluator in self.evaluators.items()
        ]
        self.description = (
            f"sum of ranks among {len(self.population)} ({digest}): {'; '.join(names)}"
        )

    def __call__(self, architecture: Architecture) -> float:
        """Return the sum of the ranks, from 0 to the number of evaluators."""
        return sum(self.ranks(architecture).values())

    def ranks(self, architecture: Architecture) -> dict[str, float]:
        """Rank by each evaluator, from 0 to 1."""
        found = {}
        for name, evaluate in self.evaluators.items():
            if name not in self._sorted:
                self._sorted[name] = np.sort([evaluate(each) for each in self.population])
            scores, score = self._sorted[name], evaluate(architecture)
            below = np.searchsorted(scores, score, "left") + np.searchsorted(scores, score, "right")
            found[name] = float(below) / (2 * len(scores))
        return found
