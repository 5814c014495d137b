"""A gradient search as a job: everything by name, in a folder from which it resumes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nascence.core.randomness import stream
from nascence.data import Dataset, Table, load
from nascence.gradient import GRADIENT_STRATEGIES, Epoch, GradientSearchError, Trajectory
from nascence.jobs.names import space_named, table_named
from nascence.latency.measurement import measure_latencies
from nascence.latency.table import LatencyTerm, read_latencies
from nascence.metrics.names import metric
from nascence.params import write_whole
from nascence.search.evaluator import MetricEvaluator
from nascence.search.limits import LimitError
from nascence.spaces import Architecture, SearchSpace
from nascence.supernets import SuperNet, split
from nascence.supernets.trained import new_supernet

HISTORY, LATENCIES = "history.json", "latency.json"
PUBLISHED_STEPS = 19_500
"""Of DARTS: 50 epochs of half of CIFAR-10's training images in batches of 64."""
_RATES = {"darts": 3e-4, "darts-2nd": 3e-4, "pc-darts": 6e-4, "snas": 3e-4, "gdas": 3e-4}
_RATES |= {"proxyless": 1e-3}
_CONTROLLER_RATE = 3.5e-4
SCORE, SCORED = "channel_independence", 64
"""What compares the networks of the parts, and on how many images."""


@dataclass(frozen=True)
class GradientJob:
    """What to search, how, and where to keep it.

    Attributes:
        folder: holds the checkpoints and the history.
        space: name of a space with networks.
        strategy: one of :data:`GRADIENT_STRATEGIES`.
        split: names of decisions at which the supernet is split; none searches it whole.
        data: images to search on.
        sizes: settings of the space, such as ``(("width", 8),)``.
        steps: of all supernets together.
        seconds: of all together, None for no limit.
        stop_at_skips: see :func:`gradient_search`.
        epochs: points of the history of each supernet.
        workers: processes that search the parts of a split supernet.
        seed: of all randomness.
        latencies: file of the operators' latencies, of ``proxyless``; where latency counts and
            there is none, they are measured and kept in the folder.
        latency_weight: see :class:`LatencyTerm`; None for 0.2 where a file or a limit is given;
            elsewhere latency counts for nothing.
        latency_limit: milliseconds that latency is compared with, None for those of the space's
            mean network.
    """

    folder: Path
    space: str
    strategy: str
    split: tuple[str, ...] = ()
    data: str = "cifar10-sample"
    sizes: tuple[tuple[str, float], ...] = ()
    steps: int = 500
    seconds: float | None = None
    stop_at_skips: int | None = None
    epochs: int = 25
    workers: int = 1
    seed: int = 0
    latencies: Path | None = None
    latency_weight: float | None = None
    latency_limit: float | None = None


@dataclass(frozen=True)
class GradientOutcome:
    """What a job found.

    Attributes:
        space: that was searched.
        history: the network that each supernet came to after every epoch.
        derived: the result: the last epoch, of several parts the one that :attr:`chosen_by` says.
        chosen_by: what compared the parts.
        truth: by data set, what the result reaches when trained alone, in percent, by the table.
        truths: the same for each epoch; empty dictionaries where there is no table.
    """

    space: SearchSpace
    history: Trajectory
    derived: Epoch
    chosen_by: str
    truth: Mapping[str, float]
    truths: tuple[Mapping[str, float], ...]


def run_gradient_job(
    job: GradientJob, *, progress: Callable[[float, Epoch | None], None] | None = None
) -> GradientOutcome:
    """Carry a search out, or on; its history stands in the folder when it ends, however it ends.

    Raises:
        ValueError: a name that is not known, or settings that do not fit.
        GradientSearchError: values that are not finite.
    """
    if job.strategy not in GRADIENT_STRATEGIES:
        names = ", ".join(GRADIENT_STRATEGIES)
        raise ValueError(f"there is no gradient strategy {job.strategy!r}; use one of {names}")
    data = load(job.data)
    space = space_named(job.space, data=data, **dict(job.sizes))
    term = latency_term(job, space, data)
    whole = new_supernet(space, seed=job.seed)
    supernets: list[SuperNet] = split(whole, list(job.split)) if job.split else [whole]
    try:
        history = GRADIENT_STRATEGIES[job.strategy](
            supernets,
            data,
            generator=torch.Generator().manual_seed(job.seed),
            steps=job.steps,
            seconds=job.seconds,
            epochs=job.epochs,
            stop_at_skips=job.stop_at_skips,
            workers=job.workers,
            folder=job.folder,
            progress=progress,
            **scaled_rate(job.strategy, -(-job.steps // len(supernets))),
            **({} if term is None else {"latency": term}),
        )
    except GradientSearchError as error:
        write_whole(job.folder / HISTORY, error.history.to_json().encode())
        raise
    write_whole(job.folder / HISTORY, history.to_json().encode())
    table = table_named(job.space)
    truths = tuple(true_accuracies(table, epoch.architecture) for epoch in history.epochs)
    derived, chosen_by = _chosen(history, space, data, seed=job.seed)
    truth = true_accuracies(table, derived.architecture)
    return GradientOutcome(space, history, derived, chosen_by, truth, truths)


def _chosen(
    history: Trajectory, space: SearchSpace, data: Dataset, *, seed: int
) -> tuple[Epoch, str]:
    """Return the result and what it was chosen by: among parts a score without labels.

    Where latency counts, the objective of each part.
    """
    if len(history.ends) == 1 or history.ends[0].objective is not None:
        return history.derived, "accuracy" if history.ends[0].objective is None else "objective"
    batch = data.batch(min(SCORED, len(data.train)), generator=stream(seed, 1, derivation="search"))
    return history.derived_by(MetricEvaluator(space, metric(SCORE), batch, seeds=(seed,))), SCORE


def latency_term(job: GradientJob, space: SearchSpace, data: Dataset) -> LatencyTerm | None:
    """Return what latency adds to the loss, with a table that is read, or else measured first.

    Raises:
        ValueError: a strategy that does not know latency, or a table of something else.
        LimitError: no network of the space is as fast as the limit.
    """
    asked = (job.latencies, job.latency_weight, job.latency_limit)
    if all(each is None for each in asked):
        return None
    if job.strategy != "proxyless":
        raise ValueError(f"latency is weighed by proxyless, not by {job.strategy}")
    side, kept = data.image_shape[1], job.folder / LATENCIES
    if job.latencies is not None or kept.exists():
        table = read_latencies(job.latencies or kept, space=space, side=side)
    else:
        generator = torch.Generator().manual_seed(job.seed)
        table = measure_latencies(space, side=side, generator=generator)
        table.save(kept)
    fastest = table.range[0]
    if job.latency_limit is not None and job.latency_limit < fastest:
        raise LimitError(
            f"no network keeps to latency <= {job.latency_limit:.10g} ms, the fastest has "
            f"{fastest:.4g}; raise the limit or choose a space with smaller networks"
        )
    weight = 0.2 if job.latency_weight is None else job.latency_weight
    return LatencyTerm(table, weight, job.latency_limit)


def scaled_rate(strategy: str, steps: int) -> dict[str, Any]:
    """Return the rate of the architecture for a search of so many steps of one supernet.

    Adam moves a logit by about its rate in every step, so that a search shorter than the published
    one would decide nothing: rate times steps stays what it is there, with at most 300 times the
    rate, for the controller of ENAS ten times. ProxylessNAS, whose architecture takes every fifth
    step, is given the same number of steps of the architecture.
    """
    steps = steps // 5 if strategy == "proxyless" else steps
    factor = min(max(1.0, PUBLISHED_STEPS / max(steps, 1)), 300.0)
    if strategy == "enas":
        return {"controller_rate": _CONTROLLER_RATE * min(factor, 10.0)}
    return {"architecture_rate": _RATES[strategy] * factor}


def true_accuracies(table: Table | None, architecture: Architecture) -> dict[str, float]:
    """What a network reaches when trained alone, by data set, in percent on test images."""
    if table is None:
        return {}
    row = table.row(architecture)
    return {
        name.removesuffix("/test"): float(values[row])
        for name, values in table.columns.items()
        if name.endswith("/test")
    }
