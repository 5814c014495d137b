"""``nascence bench latency``: measure what every operator of a space takes on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from nascence.cli.console import Json, Quiet, failures_as_lines, whole
from nascence.cli.job_running import run_and_print


def latency(
    space: Annotated[str, typer.Argument(help="darts, mobile or shufflenet.")],
    out: Annotated[Path, typer.Option(help="File of the table, JSON.")] = Path("latency.json"),
    data: Annotated[
        str, typer.Option(help="Images whose classes, channels and side the networks are for.")
    ] = "cifar10-sample",
    width: Annotated[
        float | None, typer.Option(help="Width of the space's networks, of mobile a factor.")
    ] = None,
    cells: Annotated[int | None, typer.Option(help="Cells of the space's networks.")] = None,
    batch_size: Annotated[int, typer.Option("--batch", help="Images of a forward pass.")] = 1,
    networks: Annotated[
        int, typer.Option(help="Networks in which every operator is measured, at least.")
    ] = 15,
    passes: Annotated[int, typer.Option(help="Passes of every network.")] = 3,
    check: Annotated[
        int, typer.Option(help="Random networks to measure beside their prediction; 0 for none.")
    ] = 10,
    seed: Annotated[int, typer.Option(help="Of the networks and images.")] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure milliseconds of every operator on one thread, and write the table.

    Give the file to nascence search as --latencies.
    """
    with failures_as_lines():
        from nascence.jobs.latency import LatencyJob

        sizes = {"width": whole(width), "cells": cells}
        job = LatencyJob(
            out=out,
            space=space,
            data=data,
            sizes={name: value for name, value in sizes.items() if value is not None},
            batch_size=batch_size,
            networks=networks,
            passes=passes,
            check=check,
            seed=seed,
        )
        run_and_print(job, as_json=as_json, quiet=quiet, resumes=False)
