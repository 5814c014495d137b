"""``nascence search``."""

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nascence.cli.console import Json, Quiet, failures_as_lines, line, say, say_table, shown
from nascence.cli.gan_search import SPACE as GENERATORS
from nascence.cli.gan_search import STRATEGY as AUTOGAN
from nascence.cli.gan_search import gan_search
from nascence.cli.given import Given, budget_of, decisions_of, limit_of
from nascence.cli.gradient_search import STRATEGIES, gradient_search
from nascence.cli.once_for_all_search import STRATEGY as ONCE_FOR_ALL
from nascence.cli.once_for_all_search import once_for_all_search
from nascence.core.files import locked

if TYPE_CHECKING:
    from nascence.jobs.search import Outcome
    from nascence.search.history import Candidate


def search(
    space: Annotated[
        str,
        typer.Argument(
            help="accel-nasbench, darts, elastic-mobile, gan, mobile, nasbench-macro, nats-size, "
            "nb201, shufflenet or small."
        ),
    ],
    strategy: Annotated[
        str,
        typer.Option(
            help="crossover, evolution, la-mcts, lanas, local-search, nsga2, predictor, random, "
            "reinforce or tpe; or by gradients: darts, darts-2nd, enas, gdas, pc-darts, proxyless, "
            "snas; or ofa, once-for-all, for elastic-mobile; or autogan for gan."
        ),
    ] = "evolution",
    evaluator: Annotated[
        str,
        typer.Option(
            help="table, train, one-shot, few-shot, accuracy, angle, rlnas or a metric such as "
            "naswot; + sums ranks. By default the table, or naswot where there is none."
        ),
    ] = "",
    budget: Annotated[
        str,
        typer.Option(help="Architectures to score, 500 by default, or time, such as 10m."),
    ] = "",
    data: Annotated[
        str, typer.Option(help="Images for evaluators that build networks.")
    ] = "cifar10-sample",
    table: Annotated[
        str,
        typer.Option(help="Accuracy that the table answers, such as cifar100/validation-12."),
    ] = "",
    latencies: Annotated[
        Path | None, typer.Option(help="File of latencies, of nb201 or by nascence bench latency.")
    ] = None,
    latency_weight: Annotated[
        float | None,
        typer.Option(help="Of latency beside the loss of proxyless; 0.2 with a file or limit."),
    ] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option(
            help="Minimise it too: parameters, macs, latency, latency/DEVICE. Can be repeated."
        ),
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="COST=MOST, such as macs=60e6. Can be repeated.")
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="Width of the space's networks, of mobile a factor.")
    ] = None,
    cells: Annotated[int | None, typer.Option(help="Cells of the space's networks.")] = None,
    images: Annotated[
        int | None,
        typer.Option(help="Images that a metric sees, 64, or a score of generators, 500."),
    ] = None,
    steps: Annotated[
        int,
        typer.Option(help="Steps of every training, of a gradient search or ofa as a whole."),
    ] = 500,
    split: Annotated[
        str,
        typer.Option(help="Decisions at which a gradient search or ofa splits: edge_0_1,edge_0_2."),
    ] = "",
    stop_at_skips: Annotated[
        int | None,
        typer.Option(help="End a gradient search at a cell with so many identities."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that search at once.")] = 1,
    shared: Annotated[
        bool,
        typer.Option(help="Let other searches, each with its own --seed, join this study."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the study, resumed if there is one; a new one if not given."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search a space for its best networks, keep the study, and report how far to trust it."""
    with failures_as_lines():
        if out is not None and out.exists() and not out.is_dir():
            raise ValueError(f"{out} is a file; give a folder for the study")
        trials, time_limit = budget_of(budget)
        given = Given(
            out if out is not None else _new_folder(Path(space).name),
            space,
            strategy,
            data,
            steps,
            seed,
            workers,
            trials,
            time_limit,
            evaluator,
            table,
            latencies,
            latency_weight,
            tuple(dict.fromkeys(cost or ())),
            tuple(limit_of(text) for text in limit or ()),
            width,
            cells,
            images,
            decisions_of(split),
            stop_at_skips,
            shared,
            as_json,
            quiet,
        )
        with locked(given.folder, shared=shared):
            if space == GENERATORS or strategy == AUTOGAN:
                gan_search(given)
            elif strategy in STRATEGIES:
                gradient_search(given)
            elif strategy == ONCE_FOR_ALL:
                once_for_all_search(given)
            else:
                _scored_search(given)


def _scored_search(given: Given) -> None:
    """Search by a strategy that is told scores, report, and print the result."""
    given.take(
        "budget as a number", "evaluator", "table", "latencies", "cost", "limit", "width", "cells",
        "images", "shared",
    )  # fmt: skip
    started = time.perf_counter()
    from nascence.jobs.search import SearchJob
    from nascence.report.search_page import write_search

    trials = 500 if given.trials is None and given.seconds is None else given.trials
    job = SearchJob(
        given.folder,
        given.space,
        given.strategy,
        given.evaluator,
        trials,
        given.seconds,
        given.data,
        given.table,
        given.latencies,
        given.costs,
        given.limits,
        given.sizes,
        64 if given.images is None else given.images,
        given.steps,
        given.seed,
        given.workers,
        given.shared,
    )
    outcome = _run(job, quiet=given.quiet)
    title = f"{given.space}: {given.strategy}"
    title += f" by {given.evaluator}" if given.evaluator else ""
    write_search(outcome, given.folder / "report.html", title=title)
    facts = _facts(outcome, given.folder, time.perf_counter() - started)
    typer.echo(json.dumps(facts)) if given.as_json else _print(outcome, facts)


def _run(job: Any, *, quiet: bool) -> "Outcome":
    from nascence.jobs.search import run_job

    best = -math.inf
    with shown(job.folder, quiet=quiet) as progress:

        def count(candidate: "Candidate") -> None:
            nonlocal best
            best = max(best, candidate.score)
            share = (candidate.number + 1) / job.trials if job.trials else 0.0
            progress("search", min(share, 1.0), f"best {best:.5g}")

        try:
            return run_job(job, on_trial=count)
        except KeyboardInterrupt:
            line(f"stopped; the same command with --out {job.folder} goes on")
            raise


def _new_folder(name: str) -> Path:
    """The first of runs/search-NAME-1 and so on that is not there."""
    number = 1
    while (Path("runs") / f"search-{name}-{number}").exists():
        number += 1
    return Path("runs") / f"search-{name}-{number}"


def _facts(outcome: "Outcome", path: Path, seconds: float) -> dict[str, Any]:
    """The outcome as plain values."""
    history, text = outcome.history, outcome.space.format
    if not len(history):
        return {"run": str(path), "trials": 0}

    def entry(candidate: "Candidate") -> dict[str, Any]:
        costs = dict(zip(history.costs, candidate.costs, strict=True))
        return {"architecture": text(candidate.architecture), "score": candidate.score, **costs}

    return {
        "run": str(path),
        "trials": len(history),
        "seconds": round(seconds, 3),
        "best": {**entry(history.best), "true_accuracy": outcome.truth},
        "front": [entry(candidate) for candidate in history.front()] if history.costs else [],
        "ranking": [
            {key: _plain(value) for key, value in ranking._asdict().items()}
            for ranking in outcome.rankings
        ],
        "report": str(path / "report.html"),
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it: no NaN, no number as a key."""
    if isinstance(value, dict):
        return {f"{key:g}": _plain(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print(outcome: "Outcome", facts: dict[str, Any]) -> None:
    """The result on stdout, for people."""
    if not facts["trials"]:
        say("No architecture was scored; give a larger budget.")
        return
    best = facts["best"]
    say(f"Best of {facts['trials']}: score {best['score']:.6g}  {best['architecture']}")
    if best["true_accuracy"] is not None:
        say(f"Trained alone it reaches {best['true_accuracy']:.2f} % by the table.")
    for entry in facts["front"]:
        costs = ", ".join(f"{name} {entry[name]:,.6g}" for name in outcome.history.costs)
        say(f"  front: score {entry['score']:.6g}, {costs}  {entry['architecture']}")
    if outcome.rankings:
        from nascence.search.ranking_report import ranking_table

        heading, *rows = ranking_table(outcome.rankings)
        say_table("Scores and sizes as rankings of the architectures sampled", heading, rows)
    say(f"Report {facts['report']}")
