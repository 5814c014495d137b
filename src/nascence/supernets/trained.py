"""The evaluator that first trains a supernet, with or without splitting its first decision."""

from pathlib import Path

from nascence.core.randomness import seeded
from nascence.data import Dataset
from nascence.search.evaluator import Evaluator
from nascence.spaces import Architecture, NetworkSpace, SearchSpace
from nascence.supernets.evaluators import FewShotEvaluator
from nascence.supernets.few_shot import train_few_shot
from nascence.supernets.split_criteria import split_on
from nascence.supernets.supernet import SuperNet


def trained_supernet_evaluator(
    space: SearchSpace,
    data: Dataset,
    *,
    levels: int,
    steps: int,
    seed: int,
    out: Path | None,
) -> Evaluator:
    """Train a supernet, or also the parts that its first decision splits it into.

    Args:
        space: a space that has networks.
        data: images to train on, and whose validation images give the scores.
        levels: 0 for one supernet, 1 for half of the steps before the split and half after it.
        steps: steps of all trainings together.
        seed: seed of all random choices.
        out: folder for checkpoints, None for none.

    Raises:
        ValueError: a space without networks.
    """
    supernet = new_supernet(space, seed=seed)
    first = space.decisions[0]
    counts = [steps]
    if levels:
        half = max(1, steps // 2)
        counts = [half, max(1, half // len(first.choices))]
    trained = train_few_shot(
        supernet,
        data,
        criteria=[split_on([first.name])] * levels,
        steps=counts,
        seed=seed,
        out=None if out is None else out / f"supernet-{levels}",
    )
    labels = data.validation.labels
    images = data.normalise(data.validation.images)
    held = [each.supernet for each in trained.sub_supernets]
    evaluator = FewShotEvaluator(held, images, labels, batch_size=min(250, len(labels)))
    return _Described(
        evaluator,
        f"{len(held)} supernets, {trained.steps} steps in all, {data.fingerprint}, seed {seed}",
    )


def new_supernet(space: SearchSpace, *, seed: int) -> SuperNet:
    """Return an untrained supernet; raise ``ValueError`` for a space without networks."""
    if not isinstance(space, NetworkSpace):
        raise ValueError(
            "this space has no candidates to make a supernet of; for elastic-mobile, use the "
            "strategy ofa"
        )
    with seeded(seed):
        return SuperNet(space)


class _Described:
    """An evaluator with the description that a study records."""

    def __init__(self, evaluate: Evaluator, description: str) -> None:
        self._evaluate, self.description = evaluate, description

    def __call__(self, architecture: Architecture) -> float:
        return self._evaluate(architecture)
