"""Once-for-All as a job: everything by name, in a folder from which it resumes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from safetensors.torch import save
from torch import nn

from nascence import registry
from nascence.core import ranges
from nascence.core.files import locked, write_whole
from nascence.core.randomness import seeded
from nascence.data import Dataset, load
from nascence.jobs.job import Progress, Table, check_folder
from nascence.jobs.names import check_settings, cost_named, space_named
from nascence.search.limits import Limit, Limits
from nascence.spaces import Architecture, ElasticMobile
from nascence.supernets import ElasticSuperNet, split
from nascence.supernets.once_for_all import Specialised, calibrated, recalibration_batches

HISTORY, NETWORK = "history.json", "network.safetensors"
RECALIBRATION_IMAGES = 512


@dataclass(frozen=True, kw_only=True)
class OnceForAllJob:
    """What to train once for all and search, how, and where to keep it.

    Attributes:
        out: Folder of the checkpoints, the scores, the history and the network found.
        space: Name of an elastic space.
        strategy: Name of a once-for-all strategy.
        split: Names of decisions at which the supernet is split; none trains it whole.
        data: Images to train on.
        sizes: Settings of the space, such as ``{"width": 8}``.
        settings: Settings of the strategy, such as ``{"verified": 20}``.
        steps: Steps of all supernets together.
        seconds: Time for all together; None for no limit.
        trials: Random networks that the supernet scores.
        limits: Largest values of costs, by name.
        workers: Processes that train the parts of a split supernet.
        seed: Seed of all random choices.
    """

    out: Path
    space: str
    strategy: str = "ofa"
    split: tuple[str, ...] = ()
    data: str = "cifar10-sample"
    sizes: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: Annotated[int, ranges.STEPS] = 500
    seconds: Annotated[float | None, ranges.SECONDS] = None
    trials: Annotated[int, ranges.TRIALS] = 200
    limits: Mapping[str, float] = field(default_factory=dict)
    workers: Annotated[int, ranges.PROCESSES] = 1
    seed: Annotated[int, ranges.SEED] = 0

    def run(self, *, progress: Progress | None = None) -> "OnceForAllOutcome":
        """Start or continue training and search; see `nascence.jobs.job.Job`.

        The best network's weights are written beside the history.

        Raises:
            LimitError: No network keeps to the limits; what the folder held stays as it was.
            DivergenceError: The loss is not finite.
            ValueError: The space is not elastic-mobile, or a setting is out of its range.
        """
        check_folder(self.out)
        ranges.check_ranges(self)
        once_for_all = registry.find(self.strategy, "once-for-all strategy").load()
        check_settings(self.strategy, once_for_all, self.settings)
        data = load(self.data)
        space = space_named(self.space, data=data, sizes=self.sizes)
        if not isinstance(space, ElasticMobile):
            raise ValueError(
                f"the networks of {self.space} are not slices of one another; once-for-all is for "
                "elastic-mobile"
            )
        limits = [Limit(name, cost_named(name, space, None), most) for name, most in
                  self.limits.items()]  # fmt: skip
        with seeded(self.seed):
            whole = ElasticSuperNet(space)
        with locked(self.out):
            history = once_for_all(
                split(whole, list(self.split)) if self.split else whole,
                data,
                generator=torch.Generator().manual_seed(self.seed),
                steps=self.steps,
                seconds=self.seconds,
                limits=Limits(*limits) if limits else None,
                workers=self.workers,
                out=self.out,
                progress=progress,
                **{
                    "samples": self.trials,
                    "recalibration_images": RECALIBRATION_IMAGES,
                    **self.settings,
                },
            )
            write_whole(self.out / HISTORY, history_json(space, history).encode())
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
    space: ElasticMobile
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
    """Return a network out of the supernet that holds it, with statistics of training images.

    Raises:
        ValueError: No supernet holds the architecture.
    """
    batches = recalibration_batches(data, RECALIBRATION_IMAGES)
    for supernet in supernets:
        if all(index in held for index, held in zip(architecture, supernet.choices, strict=True)):
            return calibrated(supernet, architecture, batches)
    raise ValueError(f"none of the {len(supernets)} supernets holds {architecture}")
