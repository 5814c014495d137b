"""``nascence meta-train optimizer``."""

from pathlib import Path
from typing import Annotated

import typer

from nascence.cli.console import Json, Leg, Quiet, failures_as_lines, run_and_print
from nascence.cli.number_options import Seed, number, numbers
from nascence.core import ranges
from nascence.core.durations import parse_duration


def optimizer(
    out: Annotated[Path, typer.Option(help="Folder of the run, which continues if it exists.")],
    architecture: Annotated[
        str, typer.Option(help="Kind of optimizer: small, hierarchical or feed-forward.")
    ] = "small",
    families: Annotated[
        str,
        typer.Option(
            help="Task families, separated by commas; one given twice counts twice; training "
            "stands for all that are not held out; name:units has parameters in other units."
        ),
    ] = "yardstick,quadratic",
    max_cost: Annotated[
        int | None,
        number(
            "--max-cost",
            ranges.MULTIPLY_ADDS,
            help="Leave out families whose tasks take more multiply-adds per step.",
        ),
    ] = None,
    steps: Annotated[
        int, number("--steps", ranges.STEPS, help="Outer steps of the whole run.")
    ] = 1000,
    leg: Leg = None,
    workers: Annotated[
        int, number("--workers", ranges.PROCESSES, help="Processes; they only change the time.")
    ] = 1,
    cohorts: Annotated[
        int, number("--cohorts", ranges.COHORTS, help="Groups of networks that train side by side.")
    ] = 4,
    pairs: Annotated[
        int, number("--pairs", ranges.PAIRS, help="Antithetic pairs of networks in a cohort.")
    ] = 64,
    window: Annotated[
        int, number("--window", ranges.LENGTH, help="Inner steps per outer step.")
    ] = 50,
    lengths: Annotated[str, typer.Option(help="Shortest and longest unroll.")] = "100,1000",
    ramp: Annotated[
        int, number("--ramp", ranges.RAMP, help="Outer steps until unrolls may have full length.")
    ] = 500,
    method: Annotated[
        str, typer.Option(help="Estimator of the gradient: single, persistent or truncated.")
    ] = "single",
    objective: Annotated[
        str, typer.Option(help="What of the loss counts: sign, normalised or plain.")
    ] = "sign",
    sigma: Annotated[
        float, number("--sigma", ranges.RATE, help="Deviation of the perturbations of theta.")
    ] = 0.01,
    learning_rate: Annotated[
        float,
        number("--learning-rate", ranges.RATE, help="Learning rate of the Adam that moves theta."),
    ] = 3e-3,
    start: Annotated[
        str | None, typer.Option(help="Weights to start from; without it, an untrained optimizer.")
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compiled", help="Run the small step as a compiled loop; needs a C++ compiler."
        ),
    ] = False,
    self_train: Annotated[
        bool,
        typer.Option("--self-train", help="Let a learned optimizer move theta in place of Adam."),
    ] = False,
    outer: Annotated[
        str, typer.Option(help="Weights of the optimizer that moves theta with --self-train.")
    ] = "optimizer-small",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Meta-train a learned optimizer by evolution strategies; it continues exactly.

    With --self-train a learned optimizer trains another copy.
    """
    with failures_as_lines():
        from nascence.jobs.meta_training_optimizer import OptimizerTrainingJob

        job = OptimizerTrainingJob(
            out=out,
            architecture=architecture,
            families=families,
            max_cost=max_cost,
            steps=steps,
            seconds=None if leg is None else parse_duration(leg),
            workers=workers,
            cohorts=cohorts,
            pairs=pairs,
            window=window,
            lengths=_two(lengths),
            ramp=ramp,
            method=method,
            objective=objective,
            sigma=sigma,
            learning_rate=learning_rate,
            start=start,
            compiled=compiled,
            outer=outer if self_train else None,
            seed=seed,
        )
        run_and_print(job, as_json=as_json, quiet=quiet)


def _two(text: str) -> tuple[int, int]:
    found = numbers("--lengths", text, ranges.LENGTH)
    if len(found) != 2 or found[0] > found[1]:
        raise ValueError(f"--lengths is {text!r}; give two numbers such as 100,1000")
    return found
