"""Few-shot architecture search: train a supernet, split it, train the parts, split them again."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple

from nascence.core.randomness import stream
from nascence.data import Dataset
from nascence.supernets.split_criteria import Criterion
from nascence.supernets.splitting import split
from nascence.supernets.training import Leaf, train_leaves
from nascence.supernets.weight_sharing import AnySuperNet


class FewShot(NamedTuple, Generic[AnySuperNet]):
    """The leaves of a split supernet and the cost of all that led to them.

    Attributes:
        leaves: one for every part; the cost of each is that of its own training.
        steps: of all trainings together, those of the ancestors included.
        seconds: of all trainings together, one after the other, and of choosing the splits.
    """

    leaves: tuple[Leaf[AnySuperNet], ...]
    steps: int
    seconds: float


def train_few_shot(
    supernet: AnySuperNet,
    data: Dataset,
    *,
    criteria: Sequence[Criterion],
    steps: Sequence[int],
    seed: int,
    folder: Path | None = None,
    **settings: Any,
) -> FewShot[AnySuperNet]:
    """Train a supernet, then for each criterion split every part and train what it is split into.

    Zhao et al., "Few-shot Neural Architecture Search", ICML 2021, algorithm 1, with the splits
    nested and the criterion free. Parts start with the weights of what they were split from, with
    a new optimizer and schedule. After an interruption the same call goes on from ``folder``.

    Args:
        supernet: untouched.
        data: to train on.
        criteria: where to split, one for each level; none is one-shot search.
        steps: of the supernet, then of each part at each level: one more than criteria.
        seed: of all randomness.
        folder: for the checkpoints of every level, None for none.
        settings: those of :func:`train_leaves`.

    Raises:
        ValueError: numbers of steps and criteria that do not fit; see :func:`split` and
            :func:`train_leaves`.
    """
    if len(steps) != len(criteria) + 1:
        raise ValueError(
            f"{len(steps)} numbers of steps for {len(criteria)} splits; give one for the supernet "
            "and one for each split"
        )
    parts, total, seconds = [supernet], 0, 0.0
    leaves: list[Leaf[AnySuperNet]] = []
    for level, count in enumerate(steps):
        if level:
            start = time.perf_counter()
            parts = [
                child
                for leaf in leaves
                for child in split(leaf.supernet, _chosen(criteria[level - 1], leaf, seed))
            ]
            seconds += time.perf_counter() - start
        place = folder / f"level-{level}" if folder is not None else None
        leaves = train_leaves(parts, data, seed=seed, folder=place, steps=count, **settings)
        total += sum(leaf.steps for leaf in leaves)
        seconds += sum(leaf.seconds for leaf in leaves)
    return FewShot(tuple(leaves), total, seconds)


def _chosen(criterion: Criterion, leaf: Leaf[Any], seed: int) -> Any:
    """Ask a criterion with a generator that depends on the seed and the leaf alone."""
    flat = tuple(index for held in leaf.supernet.choices for index in (*held, -1))
    return criterion(leaf.supernet, stream(seed, *flat, derivation="search"))
