"""``nascence bench``: compare the parts of this package with others, and measure this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nascence.cli.console import Json, Quiet, between_commas, failures_as_lines, run_and_print
from nascence.cli.help import Command
from nascence.cli.latency_command import latency
from nascence.cli.number_options import number, numbers
from nascence.core import ranges

if TYPE_CHECKING:
    from nascence.jobs.job import Job

bench = typer.Typer(no_args_is_help=True, help="Compare optimizers, and measure operators.")


@bench.callback()
def _group() -> None:
    """Compare optimizers, and measure operators."""


bench.command(cls=Command)(latency)


@bench.command(cls=Command)
def optimizers(
    out: Annotated[
        Path,
        typer.Option(help="Folder of the results and the report; what it holds is not run again."),
    ] = Path("runs/bench-optimizers"),
    names: Annotated[
        str,
        typer.Option(
            "--optimizers",
            help="Any of learned, untrained, adam, nadamw, adam-lr, adam8p, opt-list, separated "
            "by commas.",
        ),
    ] = "learned,untrained,adam,nadamw,adam-lr,adam8p,opt-list",
    weights: Annotated[
        str,
        typer.Option(
            help="Weights of the learned optimizers: released names or files, separated by commas."
        ),
    ] = "optimizer-small",
    families: Annotated[
        str,
        typer.Option(
            help="Task families, separated by commas; training, held-out and all stand for several."
        ),
    ] = "all",
    max_cost: Annotated[
        int,
        number(
            "--max-cost",
            ranges.MULTIPLY_ADDS,
            help="Leave out families whose tasks take more multiply-adds per step.",
        ),
    ] = 700_000,
    tasks: Annotated[int, number("--tasks", ranges.TASKS, help="Tasks of each family.")] = 2,
    steps: Annotated[
        int | None,
        number(
            "--steps", ranges.STEPS, help="Steps of each training; 100, and 2000 for the probe."
        ),
    ] = None,
    seeds: Annotated[
        int, number("--seeds", ranges.REPETITIONS, help="Repetitions from other starts.")
    ] = 1,
    trials: Annotated[
        str,
        typer.Option(help="How many settings adam8p and opt-list may try, separated by commas."),
    ] = "1,10",
    seed: Annotated[int, number("--seed", ranges.SEED, help="Seed of the first repetition.")] = 0,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Only draw where optimizers stop in the flat valley ½(x-y)²."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare learned and hand-made optimizers on tasks seen and unseen in meta-training.

    Losses are normalised: 0 is the best that hand-made ones reached, 1 no progress.
    """
    with failures_as_lines():
        from nascence.jobs.optimizer_comparison import OptimizerComparisonJob
        from nascence.jobs.optimizer_probe import OptimizerProbeJob

        entrants: dict[str, Any] = {
            "optimizers": tuple(between_commas(names)),
            "weights": tuple(between_commas(weights)),
            "trials": numbers("--trials", trials, ranges.SETTINGS_TRIED),
        }
        if probe:
            job: Job = OptimizerProbeJob(
                out=out, steps=2000 if steps is None else steps, **entrants
            )
        else:
            job = OptimizerComparisonJob(
                out=out,
                families=families,
                max_cost=max_cost,
                tasks=tasks,
                steps=100 if steps is None else steps,
                seeds=seeds,
                seed=seed,
                **entrants,
            )
        run_and_print(job, as_json=as_json, quiet=quiet, resumes=not probe)
