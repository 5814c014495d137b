"""A search as a job: everything by name, in a folder from which it resumes."""

import math
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from nascence.core.randomness import derived_seed
from nascence.data import Dataset, Table, load, nb201_latencies
from nascence.jobs.names import (
    Sources,
    cost_named,
    evaluator_named,
    needs_images,
    space_named,
    strategy_named,
    table_named,
)
from nascence.latency.table import LatencyTable, read_latencies
from nascence.search.history import Candidate, History
from nascence.search.limits import Limit, Limits
from nascence.search.loop import search
from nascence.search.ranking_report import Ranking, ranking_report
from nascence.search.study import open_study, read_history
from nascence.spaces import AdditiveSpace, SearchSpace

JOURNAL = "study.journal"
NO_LIMIT = 10**9


@dataclass(frozen=True)
class SearchJob:
    """What to search, how, and where to keep it.

    Attributes:
        folder: holds the study and the checkpoints of supernets.
        space, strategy, evaluator: names; see :mod:`nascence.jobs.names`. An empty evaluator is
            the table's where there is one, and NASWOT elsewhere.
        trials: of the study as a whole; None for no limit.
        seconds: of evaluations; None for no limit.
        data: images for evaluators that need them.
        column: of the space's table: what the table evaluator answers; empty for its first.
        latencies: file of latencies: columns to join to the table of nb201, elsewhere those of the
            operators.
        costs: names of what to minimise beside the score.
        limits: name and largest value of costs.
        sizes: settings of the space, such as ``(("width", 8),)``.
        images, steps, seed: see :class:`nascence.jobs.names.Sources`.
        workers: processes on the study at once.
        shared: whether other searches may work on it, too.
    """

    folder: Path
    space: str
    strategy: str = "evolution"
    evaluator: str = ""
    trials: int | None = 500
    seconds: float | None = None
    data: str = "cifar10-sample"
    column: str = ""
    latencies: Path | None = None
    costs: tuple[str, ...] = ()
    limits: tuple[tuple[str, float], ...] = ()
    sizes: tuple[tuple[str, float], ...] = ()
    images: int = 64
    steps: int = 500
    seed: int = 0
    workers: int = 1
    shared: bool = False
    worker: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a job found.

    Attributes:
        space: that was searched.
        history: all candidates of the study.
        sizes: the history with costs to draw the score against: the job's, or else parameters and
            multiply-adds where the space knows them.
        rankings: how well the scores rank by the table, if there is one.
        truth: true accuracy of the best candidate in percent, if there is one.
    """

    space: SearchSpace
    history: History
    sizes: History
    rankings: tuple[Ranking, ...]
    truth: float | None


def run_job(job: SearchJob, *, on_trial: Callable[[Candidate], None] | None = None) -> Outcome:
    """Carry a search out, or on.

    Raises:
        ValueError: a name, limit or file that cannot be used; a study of another search.
        ArithmeticError: a worker failed.
    """
    if job.workers < 1 or (job.trials is not None and job.trials < 1):
        raise ValueError(f"workers is {job.workers} and trials {job.trials}; give 1 or more")
    space, table, data, latencies = _sources(job)
    if job.workers > 1:
        return _with_workers(replace(job, shared=True), on_trial)
    history = _search(job, space, table, data, latencies, on_trial)
    return _outcome(job, space, table, history)


def _with_workers(job: SearchJob, on_trial: Callable[[Candidate], None] | None) -> Outcome:
    """This process searches and reports; the others search beside it."""
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=run_job, args=(replace(job, workers=1, worker=number),))
        for number in range(1, job.workers)
    ]
    for process in others:
        process.start()
    try:
        run_job(replace(job, workers=1), on_trial=on_trial)
        for process in others:
            process.join()
    finally:
        for process in others:
            if process.is_alive():
                process.terminate()
                process.join()
    if failed := [number for number, process in enumerate(others, 1) if process.exitcode]:
        raise ArithmeticError(f"worker {failed[0]} of {job.workers} failed; its message is above")
    space, table, *_ = _sources(job)
    study = open_study(job.folder / JOURNAL, space=space, name="search", costs=job.costs)
    return _outcome(job, space, table, read_history(study, space=space))


def _sources(
    job: SearchJob,
) -> tuple[SearchSpace, Table | None, Dataset | None, LatencyTable | None]:
    table = table_named(job.space)
    data = load(job.data) if needs_images(_evaluator_of(job, table)) else None
    space = space_named(job.space, data=data, **dict(job.sizes))
    latencies = None
    if job.latencies is not None and job.space == "nb201" and table is not None:
        table = table.joined(nb201_latencies(job.latencies))
    elif job.latencies is not None:
        if not isinstance(space, AdditiveSpace):
            raise ValueError(
                f"latencies are read for nb201, darts, mobile and shufflenet, not for {job.space}"
            )
        latencies = read_latencies(
            job.latencies, space=space, side=None if data is None else data.image_shape[1]
        )
    return space, table, data, latencies


def _evaluator_of(job: SearchJob, table: Table | None) -> str:
    return job.evaluator or ("naswot" if table is None else "table")


def _search(
    job: SearchJob,
    space: SearchSpace,
    table: Table | None,
    data: Dataset | None,
    latencies: LatencyTable | None,
    on_trial: Callable[[Candidate], None] | None,
) -> History:
    cost_of = partial(cost_named, space=space, table=table, latencies=latencies)
    costs = {name: cost_of(name) for name in job.costs}
    limits = [Limit(name, cost_of(name), most) for name, most in job.limits]
    seed = derived_seed(job.seed, job.worker, derivation="search") if job.worker else job.seed
    strategy = strategy_named(
        job.strategy,
        space,
        generator=torch.Generator().manual_seed(seed),
        allowed=Limits(*limits) if limits else None,
        objectives=1 + len(costs),
    )
    folder = job.folder / f"worker-{job.worker}" if job.worker else job.folder
    sources = Sources(table, job.column, data, job.images, job.steps, folder, job.seed)
    evaluate = evaluator_named(_evaluator_of(job, table), space, sources)
    return search(
        strategy,
        evaluate,
        trials=NO_LIMIT if job.trials is None else job.trials,
        seconds=job.seconds,
        study=open_study(job.folder / JOURNAL, space=space, name="search", costs=job.costs),
        on_trial=on_trial,
        attributes=lambda architecture: {"worker": job.worker, "seed": job.seed},
        costs=costs,
        shared=job.shared,
    )


def _outcome(job: SearchJob, space: SearchSpace, table: Table | None, history: History) -> Outcome:
    drawn = history
    if not job.costs:
        known = {name: getattr(space, name) for name in ("parameters", "macs") if
                 hasattr(space, name)}  # fmt: skip
        candidates = tuple(
            replace(each, costs=tuple(float(cost(each.architecture)) for cost in known.values()))
            for each in history.candidates
        )
        drawn = History(candidates, history.direction, tuple(known))
    rankings, truth = _compared(job, table, history)
    return Outcome(space, history, drawn, rankings, truth)


def _compared(
    job: SearchJob, table: Table | None, history: History
) -> tuple[tuple[Ranking, ...], float | None]:
    """The scores beside size alone, by what the networks reach when trained."""
    if table is None or not len(history):
        return (), None
    rows = [table.row(candidate.architecture) for candidate in history.candidates]
    truth = table.accuracies(job.column.partition("/")[0])[rows]
    best = float(truth[history.best.number])
    if len(rows) < 2:
        return (), best
    scores = [candidate.score for candidate in history.candidates]
    sizes = {name: table.columns[name][rows] for name in ("flops", "parameters") if
             name in table.columns}  # fmt: skip
    name = job.evaluator or "table"
    return ranking_report({name: scores}, truth, baselines=sizes), best


def best_so_far(history: History) -> list[float]:
    """The best score after every trial."""
    best, found = -math.inf, []
    sign = 1 if history.direction == "maximize" else -1
    for candidate in history.candidates:
        best = max(best, sign * candidate.score)
        found.append(sign * best)
    return found
