"""Once-for-All as a job: everything by name, in a folder from which it resumes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from nascence.core.randomness import seeded
from nascence.data import Dataset, load
from nascence.jobs.names import cost_named, space_named
from nascence.params import write_whole
from nascence.search.limits import Limit, Limits
from nascence.spaces import Architecture, ElasticMobile
from nascence.supernets import ElasticSuperNet, split
from nascence.supernets.once_for_all import (
    Progress,
    Specialised,
    calibrated,
    once_for_all,
    recalibration_batches,
)

HISTORY, NETWORK = "history.json", "network.safetensors"
RECALIBRATION_IMAGES = 512


@dataclass(frozen=True)
class OnceForAllJob:
    """What to train and search, how, and where to keep it.

    Attributes:
        folder: holds the checkpoints, the scores, the history and the network found.
        space: name of an elastic space.
        split: names of decisions at which the supernet is split; none trains it whole.
        data: images to train on.
        sizes: settings of the space, such as ``(("width", 8),)``.
        steps: of all supernets together.
        seconds: of all together, None for no limit.
        samples, predictions: see :func:`once_for_all`.
        limits: name and largest value of costs.
        workers: processes that train the parts of a split supernet.
        seed: of all randomness.
    """

    folder: Path
    space: str
    split: tuple[str, ...] = ()
    data: str = "cifar10-sample"
    sizes: tuple[tuple[str, float], ...] = ()
    steps: int = 500
    seconds: float | None = None
    samples: int = 200
    predictions: int = 300
    limits: tuple[tuple[str, float], ...] = ()
    workers: int = 1
    seed: int = 0


@dataclass(frozen=True)
class OnceForAllOutcome:
    """What a job found: its space, and the networks that were scored, the best one the result."""

    space: ElasticMobile
    history: Specialised


def run_once_for_all(job: OnceForAllJob, *, progress: Progress | None = None) -> OnceForAllOutcome:
    """Carry a search out, or on; write the history, and the best network's weights beside it.

    Raises:
        ValueError: a name that is not known, or settings that do not fit.
        LimitError: no network keeps to the limits; what the folder held stays as it was.
        DivergenceError: the loss is not finite.
    """
    data = load(job.data)
    space = space_named(job.space, data=data, **dict(job.sizes))
    if not isinstance(space, ElasticMobile):
        raise ValueError(
            f"the networks of {job.space} are no slices of one another; once-for-all is for "
            "elastic-mobile"
        )
    limits = [Limit(name, cost_named(name, space, None), most) for name, most in job.limits]
    with seeded(job.seed):
        whole = ElasticSuperNet(space)
    history = once_for_all(
        split(whole, list(job.split)) if job.split else whole,
        data,
        generator=torch.Generator().manual_seed(job.seed),
        steps=job.steps,
        seconds=job.seconds,
        limits=Limits(*limits) if limits else None,
        samples=job.samples,
        predictions=job.predictions,
        recalibration_images=RECALIBRATION_IMAGES,
        workers=job.workers,
        out=job.folder,
        progress=progress,
    )
    write_whole(job.folder / HISTORY, history_json(space, history).encode())
    write_whole(job.folder / NETWORK, network_weights(space, history, data))
    return OnceForAllOutcome(space, history)


def history_json(space: ElasticMobile, history: Specialised) -> str:
    """Write all networks that were scored, the random ones first."""
    rows = [
        {
            "architecture": space.format(candidate.architecture),
            "indices": candidate.architecture,
            "score": candidate.score,
            "seconds": candidate.seconds,
            **dict(zip(history.costs, candidate.costs, strict=True)),
        }
        for candidate in history.candidates
    ]
    facts = {"sampled": history.sampled, "steps": history.steps, "seconds": history.seconds}
    return json.dumps({**facts, "candidates": rows}, indent=1)


def network_weights(space: ElasticMobile, history: Specialised, data: Dataset) -> bytes:
    """Return the best network's tensors as safetensors, BatchNorm with statistics of its own.

    ``space.build(space.parse(line))`` loads them; the line is in the file's metadata.
    """
    best = history.best.architecture
    network = network_of(history.supernets, best, data)
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    return save(tensors, metadata={"architecture": space.format(best), "space": space.description})


def network_of(
    supernets: Sequence[ElasticSuperNet], architecture: Architecture, data: Dataset
) -> nn.Module:
    """Return a network out of the supernet that holds it, with statistics of training images."""
    batches = recalibration_batches(data, RECALIBRATION_IMAGES)
    for supernet in supernets:
        if all(index in held for index, held in zip(architecture, supernet.choices, strict=True)):
            return calibrated(supernet, architecture, batches)
    raise ValueError(f"none of the {len(supernets)} supernets holds {architecture}")
