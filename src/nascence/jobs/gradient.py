"""A gradient search as a job: everything by name, in a folder from which it resumes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch

from nascence import registry
from nascence.core import ranges
from nascence.core.files import locked
from nascence.core.randomness import stream
from nascence.data import Dataset, Table, load
from nascence.gradient import Epoch, Trajectory, gradient_search
from nascence.jobs.gradient_outcome import GradientOutcome
from nascence.jobs.job import Progress
from nascence.jobs.names import space_named, table_named
from nascence.jobs.supernet_job import SupernetJob
from nascence.latency.measurement import measure_latencies
from nascence.latency.table import LatencyTerm, read_latencies
from nascence.search.evaluator import MetricEvaluator
from nascence.search.limits import LimitError
from nascence.spaces import Architecture, SearchSpace
from nascence.supernets.trained import new_supernet

LATENCIES = "latency.json"
PUBLISHED_STEPS = 19_500
"""Steps of DARTS: 50 epochs of half of CIFAR-10's training images in batches of 64."""
_RATES = {"darts": 3e-4, "darts-2nd": 3e-4, "pc-darts": 6e-4, "snas": 3e-4, "gdas": 3e-4}
_RATES |= {"proxyless": 1e-3}
_CONTROLLER_RATE = 3.5e-4
WEIGHED = "proxyless"
"""The strategy that can optimise latency."""
SCORE, SCORED = "channel_independence", 64
"""What compares the networks of sub-supernets, and on how many images."""


@dataclass(frozen=True, kw_only=True)
class GradientJob(SupernetJob):
    """What to search by gradients, how, and where to keep it.

    Attributes:
        stop_at_skips: See `nascence.gradient.gradient_search`.
        epochs: Points of the history of each supernet.
        latencies: File of the operators' latencies, of ``proxyless``; where latency counts and
            there is none, they are measured and kept in the folder.
        latency_weight: See `nascence.latency.LatencyTerm`; None for 0.2 where a file or a limit
            is given. Elsewhere latency counts for nothing.
        limits: ``{"latency": MILLISECONDS}``, which latency is compared with; without it, the
            space's mean network.
    """

    strategy: str = "darts"
    stop_at_skips: Annotated[int | None, ranges.SKIPS] = None
    epochs: Annotated[int, ranges.STEPS] = 25
    latencies: Path | None = None
    latency_weight: Annotated[float | None, ranges.LATENCY_WEIGHT] = None
    limits: Mapping[str, float] = field(default_factory=dict)

    def run(self, *, progress: Progress | None = None) -> GradientOutcome:
        """Start or continue the search; see `nascence.jobs.job.Job`.

        The history stands in the folder when the search ends, however it ends.

        Raises:
            GradientSearchError: Values that are not finite.
            LimitError: No network of the space is as fast as the limit.
        """
        search = self.method("gradient strategy", gradient_search)
        data = load(self.data, size=self.size)
        space = space_named(self.space, data=data, sizes=self.sizes)
        with locked(self.out):
            term = latency_term(self, space, data)
            supernets = self.parts(new_supernet(space, seed=self.seed))
            rate = scaled_rate(self.strategy, -(-self.steps // len(supernets)))
            with self.failures_kept():
                history = search(
                    supernets,
                    data,
                    generator=torch.Generator().manual_seed(self.seed),
                    steps=self.steps,
                    seconds=self.seconds,
                    epochs=self.epochs,
                    stop_at_skips=self.stop_at_skips,
                    workers=self.workers,
                    out=self.out,
                    progress=None if progress is None else partial(_show, progress),
                    **{**rate, **self.settings},
                    **({} if term is None else {"latency": term}),
                )
            self.keep(history.to_json())
        return _outcome(self, history, space, data)


def _show(progress: Progress, fraction: float, epoch: Epoch | None) -> None:
    message = ""
    if epoch is not None:
        message = f"accuracy {epoch.accuracy:.3f}, entropy {epoch.entropy:.2f}"
        if epoch.latency is not None:
            message += f", latency {epoch.latency:.3g} ms"
    progress("search", fraction, message)


def _outcome(
    job: GradientJob, history: Trajectory, space: SearchSpace, data: Dataset
) -> GradientOutcome:
    table = table_named(job.space)
    derived, chosen_by = _chosen(history, space, data, seed=job.seed)
    return GradientOutcome(
        out=job.out,
        strategy=job.strategy,
        split=job.split,
        space=space,
        history=history,
        derived=derived,
        chosen_by=chosen_by,
        truth=true_accuracies(table, derived.architecture),
        truths=tuple(true_accuracies(table, epoch.architecture) for epoch in history.epochs),
        latency_limit=job.limits.get("latency"),
    )


def _chosen(
    history: Trajectory, space: SearchSpace, data: Dataset, *, seed: int
) -> tuple[Epoch, str]:
    """Return the result and what it was chosen by: among several, a score without labels.

    Where latency counts, the objective of each.
    """
    if len(history.ends) == 1 or history.ends[0].objective is not None:
        return history.derived, "accuracy" if history.ends[0].objective is None else "objective"
    images = min(SCORED, len(data.train))
    batch = data.batch(images, generator=stream(seed, 1, derivation="search"))
    score = registry.find(SCORE, "score").load()
    return history.derived_by(MetricEvaluator(space, score, batch, seeds=(seed,))), SCORE


def latency_term(job: GradientJob, space: SearchSpace, data: Dataset) -> LatencyTerm | None:
    """Return what latency adds to the loss, with a table that is read, or else measured first.

    Raises:
        ValueError: A strategy that does not know latency, or a table of something else.
        LimitError: No network of the space is as fast as the limit.
    """
    if others := [name for name in job.limits if name != "latency"]:
        raise ValueError(
            f"a limit is given for {', '.join(others)}; {job.strategy} takes at most one limit, "
            f"latency=MILLISECONDS, and only {WEIGHED} takes it"
        )
    limit = job.limits.get("latency")
    if job.latencies is None and job.latency_weight is None and limit is None:
        return None
    if job.strategy != WEIGHED:
        raise ValueError(f"latency is weighed by {WEIGHED}, not by {job.strategy}")
    side, kept = data.image_shape[1], job.out / LATENCIES
    if job.latencies is not None or kept.exists():
        table = read_latencies(job.latencies or kept, space=space, side=side)
    else:
        generator = torch.Generator().manual_seed(job.seed)
        table = measure_latencies(space, side=side, generator=generator)
        table.save(kept)
    fastest = table.range[0]
    if limit is not None and limit < fastest:
        raise LimitError(
            f"no network keeps to latency <= {limit:.10g} ms, the fastest has {fastest:.4g}; "
            "raise the limit or choose a space with smaller networks"
        )
    weight = 0.2 if job.latency_weight is None else job.latency_weight
    return LatencyTerm(table, weight, limit)


def scaled_rate(strategy: str, steps: int) -> dict[str, Any]:
    """Return the rate of the architecture for a search of so many steps of one supernet.

    Adam moves a logit by about its rate in every step, so that a search shorter than the published
    one would decide nothing: rate times steps stays what it is there, with at most 300 times the
    rate, for the controller of ENAS ten times. ProxylessNAS, whose architecture takes every fifth
    step, is given the same number of steps of the architecture. A strategy that is not ours keeps
    its own rate.
    """
    steps = steps // 5 if strategy == "proxyless" else steps
    factor = min(max(1.0, PUBLISHED_STEPS / max(steps, 1)), 300.0)
    if strategy == "enas":
        return {"controller_rate": _CONTROLLER_RATE * min(factor, 10.0)}
    return {"architecture_rate": _RATES[strategy] * factor} if strategy in _RATES else {}


def true_accuracies(table: Table | None, architecture: Architecture) -> dict[str, float]:
    """Return what a network reaches when trained alone, by data set, in percent on test images."""
    if table is None:
        return {}
    row = table.row(architecture)
    return {
        name.removesuffix("/test"): float(values[row])
        for name, values in table.columns.items()
        if name.endswith("/test")
    }
