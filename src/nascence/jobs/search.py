"""A search with scores as a job: everything by name, in a folder from which it resumes."""

import math
import multiprocessing
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import torch

from nascence.core import ranges
from nascence.core.files import locked
from nascence.core.randomness import derived_seed
from nascence.data import Dataset, Table, load, nb201_latencies
from nascence.jobs.evaluators import Sources, evaluator_named, needs_images
from nascence.jobs.job import Progress, check_folder
from nascence.jobs.names import cost_named, space_named, strategy_named, table_named
from nascence.jobs.search_outcome import SearchOutcome, outcome_of
from nascence.latency.table import LatencyTable, read_latencies
from nascence.search.evaluator import Evaluator
from nascence.search.history import Candidate
from nascence.search.limits import Limit, Limits
from nascence.search.loop import search
from nascence.search.strategy import Strategy
from nascence.search.study import open_study, read_history, shared_seed
from nascence.spaces import AdditiveSpace, Architecture, SearchSpace

if TYPE_CHECKING:
    from optuna import Study

JOURNAL = "study.journal"
NO_LIMIT = 10**9
TRIALS = 500
"""Trials of a search that is given neither a number nor a time."""


@dataclass(frozen=True, kw_only=True)
class SearchJob:
    """What to search, how, and where to keep it.

    Attributes:
        out: Folder of the study, of the checkpoints of supernets, and of the report.
        space, strategy, evaluator: Names; see `nascence.registry`. An empty evaluator is the
            table's where there is one, and NASWOT elsewhere.
        trials: Most trials of the study; None for no limit, or 500 where there is no time either.
        seconds: Time for evaluations; None for no limit.
        data: Images for evaluators that need them.
        table: Column of the space's table that the table evaluator returns; empty for the first.
        latencies: File of latencies: columns to join to the table of nb201, elsewhere those of
            the operators.
        costs: Names of the costs to minimise beside the score.
        limits: Largest values of costs, by name.
        sizes: Settings of the space, such as ``{"width": 8}``.
        settings: Settings of the strategy, such as ``{"population": 50}``.
        images: Number of images in the batch that scores see.
        steps: Steps of every training.
        seed: Seed of all random choices.
        workers: Processes that work on the study at once.
        shared: Whether other searches, each with a seed of its own, may join in.
        worker: Which of the processes this is.
    """

    out: Path
    space: str
    strategy: str = "evolution"
    evaluator: str = ""
    trials: Annotated[int | None, ranges.TRIALS] = None
    seconds: Annotated[float | None, ranges.SECONDS] = None
    data: str = "cifar10-sample"
    table: str = ""
    latencies: Path | None = None
    costs: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    sizes: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    images: Annotated[int, ranges.IMAGES] = 64
    steps: Annotated[int, ranges.STEPS] = 500
    seed: Annotated[int, ranges.SEED] = 0
    workers: Annotated[int, ranges.PROCESSES] = 1
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
        check_folder(self.out)
        ranges.check_ranges(self)
        started = time.perf_counter()
        sources = _sources(self)
        with locked(self.out, shared=self.shared):
            if self.workers > 1:
                study = _search_in_processes(self, sources, progress)
            else:
                study = _search(self, sources, progress)
        history = read_history(study, space=sources.space)
        return outcome_of(
            history,
            sources.space,
            sources.table,
            out=self.out,
            names=(self.space, self.strategy, self.evaluator),
            column=self.table,
            seconds=time.perf_counter() - started,
        )


class _SearchSources(NamedTuple):
    """What a search is made from."""

    space: SearchSpace
    table: Table | None
    data: Dataset | None
    latencies: LatencyTable | None
    evaluator: str


def _sources(job: SearchJob) -> _SearchSources:
    table = table_named(job.space)
    evaluator = job.evaluator or ("naswot" if table is None else "table")
    data = load(job.data) if needs_images(evaluator) else None
    space = space_named(job.space, data=data, sizes=job.sizes)
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
    return _SearchSources(space, table, data, latencies, evaluator)


def _search(job: SearchJob, sources: _SearchSources, progress: Progress | None) -> "Study":
    """Search in this process, and return the study."""
    cost_of = partial(
        cost_named, space=sources.space, table=sources.table, latencies=sources.latencies
    )
    costs = {name: cost_of(name) for name in job.costs}
    strategy = _strategy(job, sources.space, cost_of)
    study = open_study(job.out / JOURNAL, space=sources.space, name="search", costs=job.costs)
    seed = shared_seed(study, job.seed) if job.shared else job.seed
    search(
        strategy,
        _evaluate(job, sources, seed),
        trials=NO_LIMIT if job.most is None else job.most,
        seconds=job.seconds,
        study=study,
        on_trial=None if progress is None else _Shown(progress, job.most),
        attributes=lambda architecture: {"worker": job.worker, "seed": job.seed},
        costs=costs,
        shared=job.shared,
    )
    return study


def _strategy(
    job: SearchJob, space: SearchSpace, cost_of: Callable[[str], Callable[[Architecture], float]]
) -> Strategy:
    limits = [Limit(name, cost_of(name), most) for name, most in job.limits.items()]
    seed = job.seed
    if job.worker:
        seed = derived_seed(job.seed, job.worker, derivation="search")
    return strategy_named(
        job.strategy,
        space,
        generator=torch.Generator().manual_seed(seed),
        allowed=Limits(*limits) if limits else None,
        objectives=1 + len(job.costs),
        settings=job.settings,
    )


def _evaluate(job: SearchJob, sources: _SearchSources, seed: int) -> Evaluator:
    folder = job.out / f"worker-{job.worker}" if job.worker else job.out
    made = Sources(sources.table, job.table, sources.data, job.images, job.steps, folder, seed)
    return evaluator_named(sources.evaluator, sources.space, made)


class _Shown:
    """Counts trials and shows the best of them."""

    def __init__(self, progress: Progress, trials: int | None) -> None:
        self.progress, self.trials, self.best = progress, trials, -math.inf

    def __call__(self, candidate: Candidate) -> None:
        self.best = max(self.best, candidate.score)
        share = (candidate.number + 1) / self.trials if self.trials else 0.0
        self.progress("search", min(share, 1.0), f"best {self.best:.5g}")


def _search_in_processes(
    job: SearchJob, sources: _SearchSources, progress: Progress | None
) -> "Study":
    """Search in this process and in others at the same time, and return the study."""
    job = replace(job, shared=True)
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=_worker, args=(replace(job, workers=1, worker=number),))
        for number in range(1, job.workers)
    ]
    for process in others:
        process.start()
    try:
        study = _search(job, sources, progress)
        for process in others:
            process.join()
    finally:
        for process in others:
            if process.is_alive():
                process.terminate()
                process.join()
    if failed := [number for number, process in enumerate(others, 1) if process.exitcode]:
        raise ArithmeticError(f"worker {failed[0]} of {job.workers} failed; its message is above")
    return study


def _worker(job: SearchJob) -> None:
    _search(job, _sources(job), None)
