"""Evaluators that train one supernet and read angle or re-calibrated accuracy from it."""

from pathlib import Path
from typing import Literal

import torch

from nascence.core.randomness import seeded
from nascence.data import Dataset, random_labels
from nascence.search.evaluator import Evaluator
from nascence.spaces import NetworkSpace, SearchSpace
from nascence.supernets.angle_evaluator import AngleEvaluator
from nascence.supernets.evaluators import OneShotEvaluator
from nascence.supernets.paths import restricted_paths
from nascence.supernets.supernet import SuperNet
from nascence.supernets.training import train_supernet

Kind = Literal["angle", "accuracy", "rlnas"]
BATCH = 64
RECALIBRATION = 4


def convergence_evaluator(
    kind: Kind,
    space: SearchSpace,
    data: Dataset,
    *,
    steps: int,
    seed: int,
    out: Path | None = None,
) -> Evaluator:
    """Train a supernet for ``steps`` steps, and score by its paths.

    The angle is that of the candidates alone, without stem and classifier: in short trainings those
    turn furthest, and hide what networks differ in. Pass a longer training's supernets, with
    ``affine="fixed"``, to :class:`AngleEvaluator` for the published conventions.

    The angle and the accuracy of one seed come from the same supernet, which is trained once
    where there is a folder.

    Args:
        kind: ``"angle"``, between initial and trained weights (Hu et al., ECCV 2020);
            ``"accuracy"``, of validation images with BatchNorm statistics of each path's own from
            training images (Guo et al., SPOS, ECCV 2020, section 3.4); or ``"rlnas"``, the angle
            after training on random labels (Zhang et al., CVPR 2021).
        space: whose architectures are asked for.
        data: images to train on.
        steps: steps of the training, batches of 64.
        seed: seed of weights, paths, batches and random labels.
        out: folder for checkpoints, from which the training resumes; None keeps none.

    Raises:
        ValueError: an unknown kind, or a space that defines no network.
    """
    if kind not in ("angle", "accuracy", "rlnas"):
        raise ValueError(f"kind is {kind!r}; use 'angle', 'accuracy' or 'rlnas'")
    if not isinstance(space, NetworkSpace):
        raise ValueError("this space defines no network, so it has no supernet")
    with seeded(seed):
        initial = SuperNet(space, statistics="tracked")
    labels = "random" if kind == "rlnas" else "true"
    if kind == "rlnas":
        data = random_labels(data, generator=torch.Generator().manual_seed(seed))
    trained = train_supernet(
        initial,
        data,
        generator=torch.Generator().manual_seed(seed),
        steps=steps,
        sampler=restricted_paths,
        batch_size=BATCH,
        checkpoint=None if out is None else out / f"convergence-{labels}.pt",
    ).supernet
    described = f"{steps} steps, {data.fingerprint}, seed {seed}"
    if kind != "accuracy":
        angle = AngleEvaluator(initial, trained, convention="candidates")
        angle.description = f"angle ({angle.convention.name}), {described}"
        return angle
    generator = torch.Generator().manual_seed(seed)
    size = min(128, len(data.train))
    batches = [data.batch(size, generator=generator)[0] for _ in range(RECALIBRATION)]
    accuracy = OneShotEvaluator(
        trained,
        data.normalise(data.validation.images),
        data.validation.labels,
        recalibration=batches,
    )
    accuracy.description = f"re-calibrated accuracy, {described}"
    return accuracy
