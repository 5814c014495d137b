"""``nascence search``."""

import json
import math
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nascence.cli.console import Json, Quiet, failures_as_lines, line, shown
from nascence.cli.gradient_search import (
    STRATEGIES,
    decisions_of,
    gradient_search,
    refuse_settings,
)
from nascence.cli.once_for_all_search import STRATEGY as ONCE_FOR_ALL
from nascence.cli.once_for_all_search import once_for_all_search, refuse

if TYPE_CHECKING:
    from nascence.search.history import Candidate
    from nascence.search.job import Outcome


def search(
    space: Annotated[
        str,
        typer.Argument(
            help="accel-nasbench, darts, elastic-mobile, mobile, nasbench-macro, nats-size, nb201, "
            "shufflenet or small."
        ),
    ],
    strategy: Annotated[
        str,
        typer.Option(
            help="crossover, evolution, la-mcts, lanas, local-search, nsga2, predictor, random, "
            "reinforce or tpe; or by gradients: darts, darts-2nd, enas, gdas, pc-darts, snas; or "
            "ofa, once-for-all, for elastic-mobile."
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
        str, typer.Option(help="Architectures to score, such as 500, or time, such as 10m.")
    ] = "500",
    data: Annotated[
        str, typer.Option(help="Images for evaluators that build networks.")
    ] = "cifar10-sample",
    table: Annotated[
        str,
        typer.Option(help="Accuracy that the table answers, such as cifar100/validation-12."),
    ] = "",
    latencies: Annotated[
        Path | None, typer.Option(help="File of measured latencies of nb201.")
    ] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option(help="Minimise it too: parameters, macs, latency/DEVICE. Can be repeated."),
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="COST=MOST, such as macs=60e6. Can be repeated.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Width of the space's networks.")] = None,
    cells: Annotated[int | None, typer.Option(help="Cells of the space's networks.")] = None,
    images: Annotated[int, typer.Option(help="Images that a metric sees.")] = 64,
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
        started = time.perf_counter()
        trials, seconds = _budget_of(budget)
        limits = tuple(_limit_of(text) for text in limit or ())
        sizes = tuple(
            (name, value) for name, value in (("width", width), ("cells", cells)) if value
        )
        from nascence.search.job import SearchJob

        if out is not None and out.exists() and not out.is_dir():
            raise ValueError(f"{out} is a file; give a folder for the study")
        path = out if out is not None else _new_folder(Path(space).name)
        if strategy in STRATEGIES:
            refuse_settings(
                strategy,
                {
                    "evaluator": evaluator,
                    "budget as a number": trials if budget != "500" else None,
                    "cost": cost,
                    "limit": limit,
                    "latencies": latencies,
                    "shared": shared,
                },
            )
            from nascence.search.gradient_job import GradientJob

            gradient = GradientJob(
                path,
                space,
                strategy,
                decisions_of(split),
                data,
                sizes,
                steps,
                seconds,
                stop_at_skips,
                workers=workers,
                seed=seed,
            )
            gradient_search(gradient, as_json=as_json, quiet=quiet)
            return
        if strategy == ONCE_FOR_ALL:
            refuse(
                evaluator=evaluator,
                cost=cost,
                latencies=latencies,
                shared=shared,
                stop_at_skips=stop_at_skips,
            )
            once_for_all_search(
                path,
                space,
                decisions_of(split),
                data,
                sizes,
                (steps, seconds, trials),
                limits,
                workers,
                seed,
                as_json=as_json,
                quiet=quiet,
            )
            return
        if split or stop_at_skips is not None:
            raise ValueError(
                f"--split and --stop-at-skips are for gradient searches, not for {strategy}; use "
                f"one of {', '.join(STRATEGIES)}, and --split with {ONCE_FOR_ALL}, too"
            )
        job = SearchJob(
            path,
            space,
            strategy,
            evaluator,
            trials,
            seconds,
            data,
            table,
            latencies,
            tuple(dict.fromkeys(cost or ())),
            limits,
            sizes,
            images,
            steps,
            seed,
            workers,
            shared,
        )
        outcome = _run(job, quiet=quiet)
        from nascence.report.search_page import write_search

        report = path / "report.html"
        title = f"{space}: {strategy}" + (f" by {evaluator}" if evaluator else "")
        write_search(outcome, report, title=title)
        facts = _facts(outcome, path, time.perf_counter() - started)
        typer.echo(json.dumps(facts)) if as_json else _print(outcome, facts)


def _run(job: Any, *, quiet: bool) -> "Outcome":
    from nascence.search.job import run_job

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


def _budget_of(text: str) -> tuple[int | None, float | None]:
    """Trials or seconds."""
    if re.fullmatch(r"\d+", text.strip()):
        if int(text) < 1:
            raise ValueError(f"--budget is {text!r}; give at least 1 architecture")
        return int(text), None
    from nascence.design.settings import parse_duration

    return None, parse_duration(text)


def _limit_of(text: str) -> tuple[str, float]:
    name, _, most = text.partition("=")
    try:
        value = float(most)
    except ValueError:
        value = math.nan
    if not name or not value > 0:
        raise ValueError(f"--limit is {text!r}; give a cost and a positive number: macs=60e6")
    return name, value


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
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110)

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

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
        drawn = Table(title="Scores and sizes as rankings of the architectures sampled")
        for place, text in enumerate(heading):
            drawn.add_column(text, justify="left" if not place else "right")
        for row in rows:
            drawn.add_row(*row)
        console.print(drawn)
    say(f"Report {facts['report']}")
