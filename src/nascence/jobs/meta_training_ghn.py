"""Meta-training of a graph hypernetwork as a job: one leg of a run, in a folder that resumes."""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.distributed as dist

from nascence.core import ranges
from nascence.core.devices import device_of
from nascence.core.files import is_unused, locked, understood, write_whole
from nascence.core.randomness import seeded
from nascence.data import load as load_data
from nascence.hypernet import GHN, Report, in_processes, meta_train, read_card
from nascence.hypernet.schedule import SCHEDULES
from nascence.jobs.ghn_networks import check_kinds, networks_of, training_networks
from nascence.jobs.ghn_validation import floats, last_validation, validation_on
from nascence.jobs.job import Progress, Table, check_folder
from nascence.spaces.deepnets import SPLITS

KINDS: dict[str, Callable[..., GHN]] = {"ghn1": GHN.ghn1, "ghn2": GHN.ghn2, "mlp": GHN.mlp}
CHOICES, WEIGHTS = "choices.json", "ghn.safetensors"
OF_A_LEG = ("out", "seconds", "workers", "processes", "device")
"""Options that may change from leg to leg."""


@dataclass(frozen=True, kw_only=True)
class GhnTrainingJob:
    """What to meta-train a hypernetwork on, how, and where to keep it.

    Attributes:
        out: Folder of the checkpoint, the log, and the weights with their card.
        data: Images: ``"cifar10-sample"``, or a file or folder.
        kind: ``"ghn1"``, ``"ghn2"`` or ``"mlp"``.
        networks: Share of every kind of network that is trained on, by name.
        steps: Of the whole run.
        meta_batch: Networks in a step.
        batch_size: Images in a step, the same for all networks.
        size: Side in pixels that images are scaled to.
        cells: Fewest and most cells of a network.
        channels: Widths to choose from, multiples of 8.
        max_macs: Most multiply-adds of a training network for an image.
        learning_rate: Largest learning rate of Adam.
        label_smoothing: In [0, 1].
        splits: Of DeepNets-1M, to validate on.
        validation_networks: Of each split.
        validate_every: Steps between validation passes.
        seed: Of all randomness.
        schedule: ``"cosine"``, ``"constant"`` or ``"decay"``; see `nascence.hypernet.meta_train`.
        average: Share that a moving average of the weights keeps; 0 for none.
        start: Folder of a run, or a file or name of weights; empty for new ones.
        crop: Pixels that images are shifted by, at most.
        seconds: Of this leg; None for no limit.
        workers: Processes that prepare networks ahead.
        processes: On this machine, that share each meta-batch; those that ``torchrun`` started
            share it, too. The weights are those of one process up to rounding.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """

    out: Path
    data: str = "cifar10-sample"
    kind: str = "ghn2"
    networks: Mapping[str, float] = field(default_factory=lambda: {"deepnets": 1.0})
    steps: Annotated[int, ranges.STEPS] = 10_000
    meta_batch: Annotated[int, ranges.META_BATCH] = 1
    batch_size: Annotated[int, ranges.BATCH] = 64
    size: Annotated[int, ranges.META_TRAINING_SIDE] = 16
    cells: Annotated[tuple[int, ...], ranges.NETWORK_CELLS] = (4, 8)
    channels: Annotated[tuple[int, ...], ranges.CHANNELS] = (16, 32)
    max_macs: Annotated[int, ranges.MULTIPLY_ADDS] = 10_000_000
    learning_rate: Annotated[float, ranges.RATE] = 1e-3
    label_smoothing: Annotated[float, ranges.SHARE] = 0.0
    splits: tuple[str, ...] = ("val",)
    validation_networks: Annotated[int, ranges.NETWORKS] = 10
    validate_every: Annotated[int, ranges.STEPS] = 2000
    seed: Annotated[int, ranges.SEED] = 0
    schedule: str = "cosine"
    average: Annotated[float, ranges.KEPT_SHARE] = 0.0
    start: str = ""
    crop: Annotated[int, ranges.CROP] = 0
    seconds: Annotated[float | None, ranges.SECONDS] = None
    workers: Annotated[int, ranges.WORKERS_BESIDE] = 0
    processes: Annotated[int, ranges.PROCESSES] = 1
    device: str = "auto"

    def run(self, *, progress: Progress | None = None) -> "GhnTrainingOutcome":
        """Carry one leg out; see `nascence.jobs.job.Job`.

        Raises:
            ValueError: The folder holds another run, or anything else.
        """
        check_folder(self.out)
        ranges.check_ranges(self)
        _check(self)
        launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
        if launched and not dist.is_initialized():
            dist.init_process_group()
        first = not launched or dist.get_rank() == 0
        with locked(self.out) if first else nullcontext():
            if first:
                _claim(self)
            if self.processes > 1:
                shown = None if progress is None else _print
                outcome: GhnTrainingOutcome = in_processes(self.processes, _leg, self, "cpu", shown)
            else:
                outcome = _leg(self, self.device, progress)
        if launched:
            dist.destroy_process_group()
        return outcome

    def choices(self) -> dict[str, Any]:
        """Return what the run is made of, by the names that its folder keeps."""
        return {
            "batch" if name == "batch_size" else name: value
            for name, value in vars(self).items()
            if name not in OF_A_LEG
        }


@dataclass(frozen=True)
class GhnTrainingOutcome:
    """What a leg came to.

    Attributes:
        out: Folder of the run.
        steps: Of the whole run.
        report: Of the training.
        cpu_seconds: That this process took.
        validation: Mean accuracies of the last validation pass, by split.
        card: Of the weights.
    """

    out: Path
    steps: int
    report: Report
    cpu_seconds: float
    validation: dict[str, float]
    card: dict[str, Any]

    def facts(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        return {
            **self.report._asdict(),
            "loss": self.report.loss if math.isfinite(self.report.loss) else None,
            "cpu_seconds": self.cpu_seconds,
            "weights": str(self.out / WEIGHTS),
            "steps": self.steps,
            "validation": self.validation,
            "card": self.card,
        }

    def summary(self) -> list[str | Table]:
        """Return the outcome in words."""
        report = self.report
        state = "finished" if report.finished else "the same command goes on"
        loss = f"loss {report.loss:.3f}, " if math.isfinite(report.loss) else ""
        accuracies = [
            f"{name.removeprefix('accuracy_')}: {value:.1%} mean accuracy with no gradient step"
            for name, value in self.validation.items()
        ]
        return [
            f"step {report.step:,} of {self.steps:,}, {state}",
            f"{loss}{report.network_steps_per_second:.2f} network-steps a second, "
            f"{self.cpu_seconds:.0f} CPU-seconds, {report.replaced} networks replaced",
            *accuracies,
            f"wrote {self.out / WEIGHTS}",
        ]


def _check(job: GhnTrainingJob) -> None:
    """Raise ValueError for what no run can be made of."""
    if job.kind not in KINDS:
        raise ValueError(f"--kind is {job.kind!r}; it must be one of {', '.join(KINDS)}")
    check_kinds(job.networks)
    for split in job.splits:
        if split not in SPLITS:
            raise ValueError(f"--splits has {split!r}; it may have {', '.join(SPLITS)}")
    if len(job.cells) != 2 or job.cells[0] > job.cells[1]:
        raise ValueError(f"--cells is {job.cells}; give two numbers of 4 or more, as 4,8")
    if not job.channels:
        raise ValueError("--channels is empty; give multiples of 8, as 16,32")
    if job.schedule not in SCHEDULES:
        raise ValueError(
            f"--schedule is {job.schedule!r}; it must be one of {', '.join(SCHEDULES)}"
        )
    if job.start and not Path(job.start).exists():
        read_card(job.start)  # which names the released weights that there are
    if job.processes > job.meta_batch:
        raise ValueError(
            f"--processes is {job.processes} with --meta-batch {job.meta_batch}; the networks of "
            "a step are what they share, so it must be from 1 to the meta-batch"
        )


def _claim(job: GhnTrainingJob) -> None:
    """Note the choices in an unused folder, or check that it holds the same run."""
    path = job.out / CHOICES
    wanted = json.loads(json.dumps(job.choices()))
    if is_unused(job.out):
        write_whole(path, json.dumps(wanted, indent=1).encode())
        return
    if not path.is_file():
        raise ValueError(f"{job.out} holds something else; choose another folder")
    with understood(path, remedy="choose another folder"):
        known = json.loads(path.read_text())
        for name in ("schedule", "average", "start", "crop"):  # runs of earlier versions have none
            known.setdefault(name, getattr(GhnTrainingJob, name))
        known.setdefault("networks", {"deepnets": 1.0})
        differing = [name for name in wanted if known[name] != wanted[name]]
    if job.schedule == "constant":
        differing = [name for name in differing if name != "steps"]
    if differing:
        name = differing[0]
        raise ValueError(
            f"{job.out} holds a run with --{name.replace('_', '-')} {known[name]}, not "
            f"{wanted[name]}; continue with its settings or choose another folder"
        )


def _leg(job: GhnTrainingJob, device: str, progress: Progress | None) -> GhnTrainingOutcome:
    """Do the share of this process in one leg."""
    place = device_of(device)
    if place.type == "cuda" and dist.is_initialized():
        place = torch.device("cuda", dist.get_rank() % torch.cuda.device_count())
    data = load_data(job.data, size=job.size)
    images, labels = floats(data, data.train, None)
    with seeded(job.seed):
        ghn = KINDS[job.kind](classes=data.classes).to(place)
    sizes: dict[str, Any] = {
        "classes": data.classes,
        "size": job.size,
        "cells": job.cells,
        "channels": job.channels,
        "max_macs": job.max_macs,
    }
    networks, count = training_networks(job.networks, **sizes)
    splits = {split: networks_of(split, **sizes) for split in job.splits}
    spent = time.process_time()
    report = meta_train(
        ghn,
        networks,
        count,
        images,
        labels,
        out=job.out,
        steps=job.steps,
        meta_batch=job.meta_batch,
        batch_size=job.batch_size,
        learning_rate=job.learning_rate,
        label_smoothing=job.label_smoothing,
        crop=job.crop,
        seed=job.seed,
        schedule=job.schedule,
        average=job.average,
        start=job.start,
        seconds=math.inf if job.seconds is None else job.seconds,
        workers=job.workers,
        validation=validation_on(data, splits, job.validation_networks, place),
        validate_every=job.validate_every,
        card={"data": data.name, "classes": data.classes, "choices": job.choices()},
        progress=None if progress is None else lambda f, line: progress("meta-train", f, line),
    )
    file = job.out / WEIGHTS
    return GhnTrainingOutcome(
        job.out,
        job.steps,
        report,
        time.process_time() - spent,
        last_validation(job.out),
        read_card(file) if file.is_file() else {},
    )


def _print(_: str, __: float, line: str) -> None:
    """Progress of the first of several processes, which have no terminal to draw in."""
    if line and dist.get_rank() == 0:
        print(line, file=sys.stderr, flush=True)
