"""``nascence meta-train optimizer``."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nascence.cli.console import Json, Leg, Quiet, Seed, failures_as_lines, line, numbers, shown
from nascence.core.durations import parse_duration


def optimizer(
    out: Annotated[Path, typer.Option(help="Folder of the run; it goes on if it is there.")],
    architecture: Annotated[
        str, typer.Option(help="small, hierarchical or feed-forward.")
    ] = "small",
    families: Annotated[
        str,
        typer.Option(
            help="Task families, with commas; one twice counts twice; training is all of those "
            "that are not held out for tests, and name:units has parameters in other units."
        ),
    ] = "yardstick,quadratic",
    max_cost: Annotated[
        int | None,
        typer.Option(help="Leave out families with tasks of more multiply-adds a step."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Outer steps of the whole run.")] = 1000,
    leg: Leg = None,
    workers: Annotated[int, typer.Option(help="Processes; they change nothing but the time.")] = 1,
    cohorts: Annotated[int, typer.Option(help="Groups of networks that train side by side.")] = 4,
    pairs: Annotated[int, typer.Option(help="Antithetic pairs of networks in a cohort.")] = 64,
    window: Annotated[int, typer.Option(help="Inner steps for an outer step.")] = 50,
    lengths: Annotated[str, typer.Option(help="Shortest and longest unroll.")] = "100,1000",
    ramp: Annotated[int, typer.Option(help="Outer steps until unrolls may be longest.")] = 500,
    method: Annotated[str, typer.Option(help="single, persistent or truncated.")] = "single",
    objective: Annotated[str, typer.Option(help="sign, normalised or plain.")] = "sign",
    sigma: Annotated[float, typer.Option(help="Deviation of the perturbations of theta.")] = 0.01,
    learning_rate: Annotated[float, typer.Option(help="Of the Adam that moves theta.")] = 3e-3,
    start: Annotated[
        str | None, typer.Option(help="Weights to start from; without it, an untrained optimizer.")
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option("--compiled", help="The small step as a compiled loop; needs a C++ compiler."),
    ] = False,
    self_train: Annotated[
        bool,
        typer.Option("--self-train", help="A learned optimizer moves theta in the place of Adam."),
    ] = False,
    outer: Annotated[
        str, typer.Option(help="Weights of the one that does with --self-train.")
    ] = "optimizer-small",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Meta-train a learned optimizer by evolution strategies; a later leg goes on exactly.

    With --self-train a learned optimizer trains another copy.
    """
    with failures_as_lines():
        from nascence.optim import create, load, meta_train
        from nascence.tasks import chosen

        tasks = chosen(families, max_cost=max_cost)
        untrained = create(architecture) if start is None else load(start)
        teacher = load(outer) if self_train else None
        bounds = numbers("--lengths", lengths)
        if len(bounds) != 2:
            raise ValueError(f"--lengths is {lengths!r}; give two numbers such as 100,1000")
        if steps < 1 or workers < 1:
            raise ValueError(f"--steps is {steps}, --workers {workers}; both must be at least 1")
        try:
            with shown(out, quiet=quiet) as show:
                result = meta_train(
                    untrained,
                    tasks,
                    out=out,
                    seed=seed,
                    steps=steps,
                    seconds=None if leg is None else parse_duration(leg),
                    workers=workers,
                    cohorts=cohorts,
                    pairs=pairs,
                    window=window,
                    lengths=(bounds[0], bounds[1]),
                    ramp=ramp,
                    method=method,  # type: ignore[arg-type]  # checked there
                    objective=objective,  # type: ignore[arg-type]
                    sigma=sigma,
                    learning_rate=learning_rate,
                    compiled=compiled,
                    outer=teacher,
                    progress=lambda entry: show("optimizer", entry["step"] / steps, _brief(entry)),
                )
        except KeyboardInterrupt:
            line(f"stopped; the same command goes on with {out}")
            raise
        facts = {
            "step": result.steps,
            "steps": steps,
            "finished": result.steps >= steps,
            "particle_steps": result.particle_steps,
            "particle_steps_per_second": result.particle_steps / max(result.seconds, 1e-9),
            "seconds": result.seconds,
            "weights": str(out / "optimizer.safetensors"),
        }
        typer.echo(json.dumps(facts) if as_json else _text(facts))


def _brief(entry: dict[str, Any]) -> str:
    losses = [cohort["loss"] for cohort in entry["cohorts"]]
    rate = entry["particle_steps_per_second"]
    return f"loss {sum(losses) / len(losses):.3f} of the first, {rate:,} particle-steps/s"


def _text(facts: dict[str, Any]) -> str:
    """The result for people."""
    state = "finished" if facts["finished"] else "the same command goes on"
    return (
        f"outer step {facts['step']:,} of {facts['steps']:,}, {state}\n"
        f"{facts['particle_steps']:,} particle-steps, "
        f"{facts['particle_steps_per_second']:,.0f} a second\n"
        f"wrote {facts['weights']}"
    )
