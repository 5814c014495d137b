"""Once-for-All as a job: everything by name, in a folder from which it resumes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from safetensors.torch import save
from torch import nn

from nascence.core import ranges
from nascence.core.files import locked, write_whole
from nascence.core.randomness import seeded
from nascence.data import Dataset, load
from nascence.jobs.job import Progress, Table
from nascence.jobs.names import cost_named, limits_of, space_named
from nascence.jobs.supernet_job import HISTORY, SupernetJob
from nascence.spaces import Architecture, Elastic
from nascence.supernets import ElasticSuperNet
from nascence.supernets.once_for_all import Specialised, calibrated, recalibration_batches

NETWORK = "network.safetensors"
RECALIBRATION_IMAGES = 512


@dataclass(frozen=True, kw_only=True)
class OnceForAllJob(SupernetJob):
    """What to train once for all and search, how, and where to keep it.

    Attributes:
        trials: Random networks that the supernet scores.
        limits: Largest values of costs, by name.
    """

    strategy: str = "ofa"
    trials: Annotated[int, ranges.TRIALS] = 200
    limits: Mapping[str, float] = field(default_factory=dict)

    def run(self, *, progress: Progress | None = None) -> "OnceForAllOutcome":
        """Start or continue training and search; see `nascence.jobs.job.Job`.

        The best network's weights are written beside the history.

        Raises:
            LimitError: No network keeps to the limits; what the folder held stays as it was.
            DivergenceError: The loss is not finite.
            ValueError: The space is not elastic-mobile, or a setting is out of its range.
        """
        once_for_all = self.method("once-for-all strategy")
        data = load(self.data, size=self.size)
        space = space_named(self.space, data=data, sizes=self.sizes)
        if not isinstance(space, Elastic):
            raise ValueError(
                f"the networks of {self.space} are not slices of one another; once-for-all is for "
                "elastic-mobile"
            )
        costs = {name: cost_named(name, space, None) for name in self.limits}
        with seeded(self.seed):
            whole = ElasticSuperNet(space)
        with locked(self.out):
            history = once_for_all(
                self.parts(whole),
                data,
                generator=torch.Generator().manual_seed(self.seed),
                steps=self.steps,
                seconds=self.seconds,
                limits=limits_of(costs, self.limits),
                workers=self.workers,
                out=self.out,
                progress=progress,
                **{
                    "samples": self.trials,
                    "recalibration_images": RECALIBRATION_IMAGES,
                    **self.settings,
                },
            )
            self.keep(history_json(space, history))
            write_whole(self.out / NETWORK, network_weights(space, history, data))
        return OnceForAllOutcome(self.out, self.strategy, self.split, space, history)


@dataclass(frozen=True)
class OnceForAllOutcome:
    """What a job found.

    Attributes:
        out: Folder of history and network.
        strategy, split: Strategy and split of the job.
        space: The space that was searched.
        history: The networks that were scored, the best one the result.
    """

    out: Path
    strategy: str
    split: tuple[str, ...]
    space: Elastic
    history: Specialised

    def facts(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        history, best = self.history, self.history.best
        return {
            "run": str(self.out),
            "strategy": self.strategy,
            "split": list(self.split),
            "supernets": len(history.supernets),
            "steps": history.steps,
            "seconds": round(history.seconds, 3),
            "sampled": history.sampled,
            "verified": len(history) - history.sampled,
            "best": {
                "architecture": self.space.format(best.architecture),
                "accuracy": best.score,
                **dict(zip(history.costs, best.costs, strict=True)),
                "parameters": self.space.parameters(best.architecture),
            },
            "history": str(self.out / HISTORY),
            "network": str(self.out / NETWORK),
        }

    def summary(self) -> list[str | Table]:
        """Return the outcome in words."""
        facts = self.facts()
        best, count = facts["best"], facts["supernets"]
        parts = f" of {count} sub-supernets" if count > 1 else ""
        return [
            f"After {facts['steps']} steps{parts}, of {facts['sampled']} random networks and "
            f"{facts['verified']} predicted to be the best: {best['architecture']}",
            f"{best['macs']:,.0f} multiply-adds, {best['parameters']:,} parameters; with shared "
            f"weights it reaches {100 * best['accuracy']:.1f} %.",
            f"Network {facts['network']}",
            f"History {facts['history']}",
        ]


def history_json(space: Elastic, history: Specialised) -> str:
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


def network_weights(space: Elastic, history: Specialised, data: Dataset) -> bytes:
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
    """Return a network out of the supernet that holds it, with statistics of training images.

    Raises:
        ValueError: No supernet holds the architecture.
    """
    batches = recalibration_batches(data, RECALIBRATION_IMAGES)
    for supernet in supernets:
        if all(index in held for index, held in zip(architecture, supernet.choices, strict=True)):
            return calibrated(supernet, architecture, batches)
    raise ValueError(f"none of the {len(supernets)} supernets holds {architecture}")
