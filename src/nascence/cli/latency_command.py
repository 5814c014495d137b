"""``nascence bench latency``: measure how long every operator of a space takes on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from nascence.cli.console import Json, Quiet, failures_as_lines, run_and_print, whole
from nascence.cli.number_options import number
from nascence.core import ranges


def latency(
    space: Annotated[str, typer.Argument(help="darts, mobile or shufflenet.")],
    out: Annotated[Path, typer.Option(help="JSON file to write the table to.")] = Path(
        "latency.json"
    ),
    data: Annotated[
        str, typer.Option(help="Images whose classes, channels and side the networks are for.")
    ] = "cifar10-sample",
    width: Annotated[
        float | None,
        number(
            "--width", ranges.WIDTH, help="Width of the space's networks; for mobile, a factor."
        ),
    ] = None,
    cells: Annotated[
        int | None, number("--cells", ranges.CELLS, help="Cells of the space's networks.")
    ] = None,
    batch_size: Annotated[
        int, number("--batch", ranges.BATCH, help="Images in a forward pass.")
    ] = 1,
    networks: Annotated[
        int,
        number(
            "--networks",
            ranges.NETWORKS,
            help="Minimum number of networks in which each operator is measured.",
        ),
    ] = 15,
    passes: Annotated[
        int, number("--passes", ranges.PASSES, help="Forward passes of each network.")
    ] = 3,
    check: Annotated[
        int,
        number(
            "--check",
            ranges.NETWORKS_OR_NONE,
            help="Random networks to compare with their prediction; 0 for none.",
        ),
    ] = 10,
    seed: Annotated[
        int, number("--seed", ranges.SEED, help="Seed of the networks and images.")
    ] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how long every operator takes on one thread, and write the table.

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
