"""A search with scores as a job: everything by name, in a folder from which it resumes."""

import math
import multiprocessing
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import torch

from nascence import registry
from nascence.core import ranges
from nascence.core.files import locked
from nascence.core.randomness import derived_seed
from nascence.data import Dataset, Table, load, nb201_latencies
from nascence.jobs.evaluators import Sources, evaluator_named
from nascence.jobs.job import NamedJob, Progress
from nascence.jobs.names import Cost, cost_named, limits_of, make_space, make_strategy, needs_images
from nascence.jobs.search_outcome import SearchOutcome, outcome_of
from nascence.latency.table import read_latencies
from nascence.search.history import Candidate
from nascence.search.loop import search
from nascence.search.strategy import Strategy
from nascence.search.study import open_study, read_history, shared_seed
from nascence.spaces import AdditiveSpace, SearchSpace

if TYPE_CHECKING:
    from optuna import Study

JOURNAL = "study.journal"
NO_LIMIT = 10**9
TRIALS = 500
"""Trials of a search that is given neither a number nor a time."""


@dataclass(frozen=True, kw_only=True)
class SearchJob(NamedJob):
    """What to search, how, and where to keep it; see also `nascence.jobs.job.NamedJob`.

    Attributes:
        evaluator: Name of what scores architectures; names joined by ``+`` sum ranks. Empty for
            the table of the space where there is one, and NASWOT elsewhere.
        trials: Most trials of the study; None for no limit, or 500 where there is no time either.
        table: Column of the space's table that the table evaluator returns; empty for the first.
        latencies: File of latencies: columns to join to the table of nb201, elsewhere those of
            the operators.
        costs: Names of the costs to minimise beside the score.
        limits: Largest values of costs, by name.
        images: Number of images in the batch that scores see.
        shared: Whether other searches, each with a seed of its own, may join in.
        worker: Which of the processes this is.
    """

    strategy: str = "evolution"
    evaluator: str = ""
    trials: Annotated[int | None, ranges.TRIALS] = None
    table: str = ""
    latencies: Path | None = None
    costs: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    images: Annotated[int, ranges.IMAGES] = 64
    shared: bool = False
    worker: int = field(default=0, repr=False)

    @property
    def most(self) -> int | None:
        """Number of trials after which the search ends; None for no limit."""
        return TRIALS if self.trials is None and self.seconds is None else self.trials

    def run(self, *, progress: Progress | None = None) -> SearchOutcome:
        """Carry the search out, or on, and write the report; see `nascence.jobs.job.Job`.

        Raises:
            ValueError: A setting is out of its range.
        """
        started = time.perf_counter()
        named = _named(self)
        with locked(self.out, shared=self.shared), _workers(self) as job:
            study = _search(job, named, progress)
        return outcome_of(
            read_history(study, space=named.space),
            named.space,
            named.table,
            out=self.out,
            names=(self.space, self.strategy, self.evaluator),
            column=self.table,
            seconds=time.perf_counter() - started,
        )


class _Named(NamedTuple):
    """What a search names."""

    space: SearchSpace
    table: Table | None
    data: Dataset | None
    evaluator: str
    costs: Mapping[str, Cost]
    strategy: Strategy


def _named(job: SearchJob) -> _Named:
    """Make what a search names; names are looked up before images are read."""
    seed = derived_seed(job.seed, job.worker, derivation="search") if job.worker else job.seed
    space_entry = registry.find(job.space, "space", "table")
    table_entry = registry.find_any(job.space, "table")
    strategy_entry = registry.find(job.strategy, *registry.STRATEGIES)
    evaluator = job.evaluator or ("naswot" if table_entry is None else "table")
    for name in evaluator.split("+"):
        registry.find(name, "evaluator", "score")
    table: Table | None = None if table_entry is None else table_entry.load()()
    data = load(job.data, size=job.size) if needs_images(evaluator) else None
    space = make_space(space_entry, data=data, sizes=job.sizes)
    latencies = None
    if job.latencies is not None and job.space == "nb201" and table is not None:
        table = table.joined(nb201_latencies(job.latencies))
    elif job.latencies is not None:
        if not isinstance(space, AdditiveSpace):
            raise ValueError(
                f"latencies are read for nb201, darts, mobile and shufflenet, not for {job.space}"
            )
        side = None if data is None else data.image_shape[1]
        latencies = read_latencies(job.latencies, space=space, side=side)
    costs = {name: cost_named(name, space, table, latencies) for name in (*job.costs, *job.limits)}
    strategy = make_strategy(
        strategy_entry,
        space,
        generator=torch.Generator().manual_seed(seed),
        allowed=limits_of(costs, job.limits),
        objectives=1 + len(job.costs),
        settings=job.settings,
    )
    return _Named(space, table, data, evaluator, costs, strategy)


def _search(job: SearchJob, named: _Named, progress: Progress | None) -> "Study":
    """Search in this process, and return the study."""
    study = open_study(job.out / JOURNAL, space=named.space, name="search", costs=job.costs)
    seed = shared_seed(study, job.seed) if job.shared else job.seed
    folder = job.out / f"worker-{job.worker}" if job.worker else job.out
    sources = Sources(named.table, job.table, named.data, job.images, job.steps, folder, seed)
    search(
        named.strategy,
        evaluator_named(named.evaluator, named.space, sources),
        trials=NO_LIMIT if job.most is None else job.most,
        seconds=job.seconds,
        study=study,
        on_trial=None if progress is None else _Shown(progress, job.most),
        attributes=lambda architecture: {"worker": job.worker, "seed": job.seed},
        costs={name: named.costs[name] for name in job.costs},
        shared=job.shared,
    )
    return study


class _Shown:
    """Counts trials and shows the best of them."""

    def __init__(self, progress: Progress, trials: int | None) -> None:
        self.progress, self.trials, self.best = progress, trials, -math.inf

    def __call__(self, candidate: Candidate) -> None:
        self.best = max(self.best, candidate.score)
        share = (candidate.number + 1) / self.trials if self.trials else 0.0
        self.progress("search", min(share, 1.0), f"best {self.best:.5g}")


@contextmanager
def _workers(job: SearchJob) -> Iterator[SearchJob]:
    """Let other processes work on the study while this one does, and wait for them at the end."""
    if job.workers == 1:
        yield job
        return
    job = replace(job, shared=True)
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=_worker, args=(replace(job, workers=1, worker=number),))
        for number in range(1, job.workers)
    ]
    for process in others:
        process.start()
    try:
        yield job
        for process in others:
            process.join()
    finally:
        for process in others:
            if process.is_alive():
                process.terminate()
                process.join()
    if failed := [number for number, process in enumerate(others, 1) if process.exitcode]:
        raise ArithmeticError(f"worker {failed[0]} of {job.workers} failed; its message is above")


def _worker(job: SearchJob) -> None:
    _search(job, _named(job), None)
