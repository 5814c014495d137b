"""Few-shot architecture search: train a supernet, split it, train on, split again."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple

from nascence.core.randomness import stream
from nascence.data import Dataset
from nascence.supernets.split_criteria import Criterion
from nascence.supernets.splitting import split
from nascence.supernets.training import SubSupernet, train_sub_supernets
from nascence.supernets.weight_sharing import AnySuperNet


class FewShot(NamedTuple, Generic[AnySuperNet]):
    """The sub-supernets of a split supernet, and the total cost of training them.

    Attributes:
        sub_supernets: trained; the cost of each is that of its own training.
        steps: steps of all trainings together, those of the ancestors included.
        seconds: time for all trainings together, one after the other, and for choosing splits.
    """

    sub_supernets: tuple[SubSupernet[AnySuperNet], ...]
    steps: int
    seconds: float


def train_few_shot(
    supernet: AnySuperNet,
    data: Dataset,
    *,
    criteria: Sequence[Criterion],
    steps: Sequence[int],
    seed: int,
    out: Path | None = None,
    **settings: Any,
) -> FewShot[AnySuperNet]:
    """Train a supernet, then split it by each criterion in turn and train the sub-supernets.

    Zhao et al., "Few-shot Neural Architecture Search", ICML 2021, algorithm 1, with the splits
    nested and the criterion free. A sub-supernet starts with the weights of what it was split from,
    and with a new optimizer and schedule. After an interruption the same call goes on from
    ``out``.

    Args:
        supernet: untouched.
        data: images to train on.
        criteria: where to split, one for each level; none is one-shot search.
        steps: for the supernet, then for each sub-supernet at each level: one more than criteria.
        seed: seed of all random choices.
        out: folder for the checkpoints of every level, None for none.
        settings: those of :func:`train_sub_supernets`.

    Raises:
        ValueError: numbers of steps and criteria that do not fit; see :func:`split` and
            :func:`train_sub_supernets`.
    """
    if len(steps) != len(criteria) + 1:
        raise ValueError(
            f"{len(steps)} numbers of steps for {len(criteria)} splits; give one for the supernet "
            "and one for each split"
        )
    untrained, total, seconds = [supernet], 0, 0.0
    trained: list[SubSupernet[AnySuperNet]] = []
    for level, count in enumerate(steps):
        if level:
            start = time.perf_counter()
            untrained = [
                child
                for parent in trained
                for child in split(parent.supernet, _chosen(criteria[level - 1], parent, seed))
            ]
            seconds += time.perf_counter() - start
        place = out / f"level-{level}" if out is not None else None
        trained = train_sub_supernets(
            untrained, data, seed=seed, out=place, steps=count, **settings
        )
        total += sum(each.steps for each in trained)
        seconds += sum(each.seconds for each in trained)
    return FewShot(tuple(trained), total, seconds)


def _chosen(criterion: Criterion, parent: SubSupernet[Any], seed: int) -> Any:
    """Call a criterion with a generator that depends only on the seed and the supernet."""
    flat = tuple(index for held in parent.supernet.choices for index in (*held, -1))
    return criterion(parent.supernet, stream(seed, *flat, derivation="search"))
