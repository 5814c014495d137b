"""Training a supernet path by path, and the sub-supernets of a split one side by side."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.core.processes import map_in_processes
from nascence.core.randomness import derived_seed
from nascence.data import Dataset
from nascence.spaces import Architecture
from nascence.supernets.paths import PathSampler, uniform_paths
from nascence.supernets.weight_sharing import AnySuperNet, WeightSharing
from nascence.training import Measurement, sgd, train

Progress = Callable[[float, Measurement | None], None]
PathLoss = Callable[[WeightSharing, Tensor, Tensor, Sequence[Architecture]], Tensor]
"""The loss of one step: of a supernet, normalised images, labels and the paths drawn."""


def path_cross_entropy(
    model: WeightSharing, images: Tensor, labels: Tensor, paths: Sequence[Architecture]
) -> Tensor:
    """Sum ``()`` of the cross-entropy over the paths, of ``(B, C, H, W)`` and ``(B,)``."""
    total = torch.zeros((), device=images.device)
    for path in paths:
        total = total + functional.cross_entropy(model(images, path), labels)
    return total


class SubSupernet(NamedTuple, Generic[AnySuperNet]):
    """A trained supernet, whole or split off another, with the cost of its own training.

    Attributes:
        supernet: the supernet, in evaluation mode.
        steps: steps of the optimizer, without those of the supernets that it was split from.
        seconds: wall time, likewise.
    """

    supernet: AnySuperNet
    steps: int
    seconds: float


def train_supernet(
    supernet: AnySuperNet,
    data: Dataset,
    *,
    generator: torch.Generator,
    steps: int | None = None,
    seconds: float | None = None,
    sampler: PathSampler = uniform_paths,
    loss: PathLoss = path_cross_entropy,
    batch_size: int = 64,
    learning_rate: float = 0.025,
    final_learning_rate: float = 0.001,
    weight_decay: float = 1e-4,
    crop: int = 4,
    flip: bool = True,
    clip: float | None = 5.0,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 20.0,
    facts: Mapping[str, str | int | float] | None = None,
    progress: Progress | None = None,
) -> SubSupernet[AnySuperNet]:
    """Train a copy of a supernet on ``data.train``; the supernet is untouched.

    Each step draws paths with ``sampler``, adds up the gradients of their cross-entropy (or of
    another ``loss``) on one batch, and moves what they hold by SGD with Nesterov momentum; weights
    of other paths stay. The learning rate falls along half a cosine. The defaults are those of Zhao
    et al., "Few-shot Neural Architecture Search", ICML 2021, on NAS-Bench-201 (batch 48 there).
    ``steps``, ``seconds``, ``checkpoint`` and the rest are as in
    :func:`nascence.training.train`: a resumed training is bit-equal to an undisturbed one on a CPU,
    unless it is limited by ``seconds``. ``facts`` are further settings that a checkpoint must have
    been made with.

    Raises:
        CheckpointError: the checkpoint of another training, or of other initial weights.
        DivergenceError: the loss is not finite.
        ValueError: impossible settings.
    """
    if not 0 <= final_learning_rate <= learning_rate:
        raise ValueError(
            f"learning rates go from {learning_rate} to {final_learning_rate}; the last must be "
            "between 0 and the first"
        )
    least = final_learning_rate / learning_rate if learning_rate else 0.0
    result = train(
        supernet,
        data,
        optimizer=sgd(learning_rate, weight_decay=weight_decay),
        generator=generator,
        steps=steps,
        seconds=seconds,
        batch_size=batch_size,
        schedule=lambda done: least + (1 - least) * 0.5 * (1 + math.cos(math.pi * min(done, 1))),
        objective=partial(_path_loss, sampler=sampler, loss=loss),
        crop=crop,
        flip=flip,
        clip=clip,
        measurements=0,
        device=device,
        precision="float32",
        checkpoint=checkpoint,
        checkpoint_seconds=checkpoint_seconds,
        facts={
            "choices": json.dumps(supernet.choices),
            "initial weights": fingerprint(supernet),
            "learning rates": f"{learning_rate} to {final_learning_rate}",
            **(facts or {}),
        },
        progress=progress,
    )
    assert isinstance(result.model, type(supernet))
    return SubSupernet(result.model, result.steps, result.seconds)


TrainSubSupernet = Callable[..., SubSupernet[Any]]
"""Trains a copy of a supernet, like :func:`train_supernet`; it has to be picklable."""


def train_sub_supernets(
    sub_supernets: Sequence[AnySuperNet],
    data: Dataset,
    *,
    seed: int,
    out: Path | None = None,
    workers: int = 1,
    threads: int = 1,
    train: TrainSubSupernet = train_supernet,
    **settings: Any,
) -> list[SubSupernet[AnySuperNet]]:
    """Train each sub-supernet of a split supernet, several at once.

    The result is the same for any number of ``workers``: everything random in a training follows
    from ``seed`` and the choices that the sub-supernet holds. Each has its checkpoint in
    ``out``, so after an interruption the finished ones are read and the others go on where
    they were.

    Args:
        sub_supernets: untouched.
        data: images that all are trained on.
        seed: seed of all random choices.
        out: folder for checkpoints; None keeps none.
        workers: processes; 1 trains here, one after the other.
        threads: threads of each worker process.
        train: :func:`train_supernet` or another training of one supernet.
        settings: those of ``train``, except generator and checkpoint.

    Raises:
        ValueError: no sub-supernet, or two with the same choices.
    """
    if len({each.choices for each in sub_supernets}) < max(1, len(sub_supernets)):
        raise ValueError(
            f"{len(sub_supernets)} sub-supernets are given; give one or more with different choices"
        )
    if workers < 1 or threads < 1:
        raise ValueError(f"workers is {workers} and threads {threads}; both must be at least 1")
    jobs = [(each, _settings_of(each, seed, out, settings)) for each in sub_supernets]
    if workers == 1:
        return [_train_one(each, data, train, own) for each, own in jobs]
    results = map_in_processes(
        partial(_train_in_worker, train=train),
        jobs,
        workers=workers,
        threads=threads,
        prepare=_prepare_worker,
        arguments=(data,),
    )
    trained = []
    for each, (state, steps, seconds) in zip(sub_supernets, results, strict=True):
        copy = each.restrict(each.choices)
        copy.load_state_dict(state)
        trained.append(SubSupernet(copy.eval(), steps, seconds))
    return trained


def fingerprint(supernet: WeightSharing) -> str:
    """Return a hash of all weights and buffers with their names, the same for equal supernets."""
    digest = hashlib.sha256()
    for name, value in sorted(supernet.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _path_loss(
    model: nn.Module, images: Tensor, labels: Tensor, *, sampler: PathSampler, loss: PathLoss
) -> Tensor:
    """Loss of the paths of one step."""
    assert isinstance(model, WeightSharing)
    paths = sampler(model.space, model.choices, generator=torch.default_generator)
    return loss(model, images, labels, paths)


def _settings_of(
    supernet: WeightSharing, seed: int, out: Path | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    name = "-".join("".join(map(str, held)) for held in supernet.choices)
    if len(name) > 180:  # file systems allow 255 bytes
        name = hashlib.sha256(name.encode()).hexdigest()[:16]
    # sub-supernets were once called leaves, and folders of that time go on
    checkpoint = out / f"leaf-{name}.pt" if out is not None else None
    flat = tuple(index for held in supernet.choices for index in (*held, -1))
    return {
        **settings,
        "seed": derived_seed(seed, *flat, derivation="search"),
        "checkpoint": checkpoint,
    }


def _train_one(
    supernet: AnySuperNet, data: Dataset, train: TrainSubSupernet, settings: dict[str, Any]
) -> SubSupernet[AnySuperNet]:
    settings = dict(settings)
    generator = torch.Generator().manual_seed(settings.pop("seed"))
    return train(supernet, data, generator=generator, **settings)


_worker_data: Dataset | None = None  # of a worker process, set once when it starts


def _prepare_worker(data: Dataset) -> None:
    global _worker_data
    _worker_data = data


def _train_in_worker(
    job: tuple[WeightSharing, dict[str, Any]], *, train: TrainSubSupernet
) -> tuple[dict[str, Tensor], int, float]:
    assert _worker_data is not None
    trained = _train_one(job[0], _worker_data, train, job[1])
    return trained.supernet.state_dict(), trained.steps, trained.seconds
