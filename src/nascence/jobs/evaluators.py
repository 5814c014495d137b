"""Evaluators by name: each is made from a space and the sources of a search."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from nascence import registry
from nascence.data import Dataset, Table
from nascence.search.evaluator import (
    Evaluator,
    MetricEvaluator,
    RankSumEvaluator,
    TableEvaluator,
    TrainingEvaluator,
)
from nascence.spaces import SearchSpace

if TYPE_CHECKING:
    from nascence.supernets.convergence import Kind

POPULATION = 64
"""Random architectures among which a sum of ranks ranks."""


class Sources(NamedTuple):
    """What evaluators are made from; each takes what it needs.

    Attributes:
        table: Table of the space, if there is one.
        column: Column of the table, ``DATA/ACCURACY``; empty for the table's first.
        data: Images to score or train on.
        images: Number of images in the batch that scores see.
        steps: Steps of every training.
        folder: Folder for the checkpoints of supernets; None keeps none.
        seed: Seed of all random choices.
    """

    table: Table | None
    column: str
    data: Dataset | None
    images: int
    steps: int
    folder: Path | None
    seed: int


def evaluator_named(text: str, space: SearchSpace, sources: Sources) -> Evaluator:
    """Return an evaluator; names joined by ``+`` sum the ranks among 64 random architectures.

    Raises:
        ValueError: An unknown name, or something that the evaluator needs and is not there.
    """
    names = text.split("+")
    made = {name: _one(name, space, sources) for name in names}
    if len(names) == 1:
        return made[text]
    if len(made) < len(names):
        raise ValueError(f"{text!r} names an evaluator twice; name each once")
    generator = torch.Generator().manual_seed(sources.seed)
    population = [space.sample(generator=generator) for _ in range(POPULATION)]
    return RankSumEvaluator(made, population)


def _one(name: str, space: SearchSpace, sources: Sources) -> Evaluator:
    entry = registry.find(name, "evaluator", "score")
    if entry.kind == "evaluator":
        evaluate: Evaluator = entry.load()(space, sources)
        return evaluate
    generator = torch.Generator().manual_seed(sources.seed)
    images = _images(name, sources)
    batch = images.batch(min(sources.images, len(images.train)), generator=generator)
    return MetricEvaluator(space, entry.load(), batch, seeds=(sources.seed,))


def _images(name: str, sources: Sources) -> Dataset:
    if sources.data is None:
        raise ValueError(f"the evaluator {name} needs images; give them as data")
    return sources.data


def table(space: SearchSpace, sources: Sources) -> Evaluator:
    """Look architectures up in the table of the space.

    Raises:
        ValueError: There is no such table, or not this column in it.
    """
    if sources.table is None:
        others = [each for each in registry.names("evaluator", "score") if each != "table"]
        raise ValueError(
            f"there is no table of this space; use one of {', '.join(registry.names('table'))}, "
            f"or an evaluator that needs none: {', '.join(others)}"
        )
    data, _, accuracy = sources.column.partition("/")
    return TableEvaluator(space, sources.table, data=data, accuracy=accuracy)


def train(space: SearchSpace, sources: Sources) -> Evaluator:
    """Train each network alone for the same number of steps."""
    images = _images("train", sources)
    return TrainingEvaluator(space, images, steps=sources.steps, seed=sources.seed)


def one_shot(space: SearchSpace, sources: Sources) -> Evaluator:
    """Train one supernet, and score the paths through it."""
    return _supernet("one-shot", space, sources, levels=0)


def few_shot(space: SearchSpace, sources: Sources) -> Evaluator:
    """Split a supernet at its first decision half-way through the training."""
    return _supernet("few-shot", space, sources, levels=1)


def _supernet(name: str, space: SearchSpace, sources: Sources, *, levels: int) -> Evaluator:
    from nascence.supernets.trained import trained_supernet_evaluator

    return trained_supernet_evaluator(
        space,
        _images(name, sources),
        levels=levels,
        steps=sources.steps,
        seed=sources.seed,
        out=sources.folder,
    )


def accuracy(space: SearchSpace, sources: Sources) -> Evaluator:
    """Train one supernet; score paths with BatchNorm statistics of their own."""
    return _convergence("accuracy", space, sources)


def angle(space: SearchSpace, sources: Sources) -> Evaluator:
    """Train one supernet; score paths by how far their weights have turned."""
    return _convergence("angle", space, sources)


def rlnas(space: SearchSpace, sources: Sources) -> Evaluator:
    """Train one supernet on random labels; score paths by how far their weights have turned."""
    return _convergence("rlnas", space, sources)


def _convergence(kind: "Kind", space: SearchSpace, sources: Sources) -> Evaluator:
    from nascence.supernets.convergence import convergence_evaluator

    return convergence_evaluator(
        kind,
        space,
        _images(kind, sources),
        steps=sources.steps,
        seed=sources.seed,
        out=sources.folder,
    )
