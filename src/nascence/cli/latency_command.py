"""``nascence bench latency``: measure what every operator of a space takes on this machine."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nascence.cli.console import Json, Quiet, failures_as_lines, line, shown, whole


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
        import torch

        from nascence.data import load
        from nascence.jobs.names import space_named
        from nascence.latency.measurement import measure_latencies

        if out.is_dir():
            raise ValueError(f"{out} is a folder; give a file for the table")
        if check < 0:
            raise ValueError(f"--check is {check}; give a number of networks, or 0")
        images = load(data)
        sizes = {"width": whole(width), "cells": cells}
        given = {name: value for name, value in sizes.items() if value is not None}
        chosen = space_named(space, data=images, sizes=given)
        generator = torch.Generator().manual_seed(seed)
        with shown(out, quiet=quiet) as show:
            table = measure_latencies(
                chosen,
                side=images.image_shape[1],
                batch_size=batch_size,
                generator=generator,
                networks=networks,
                passes=passes,
                progress=lambda done: show("latency", done, ""),
            )
        table.save(out)
        facts: dict[str, Any] = {
            "table": str(out),
            "space": table.space,
            "side": table.side,
            "batch": table.batch,
            "fixed_ms": table.fixed,
            "even_ms": table.even(),
            "least_ms": table.range[0],
            "greatest_ms": table.range[1],
            "checked": _checked(table, chosen, check, generator) if check else None,
        }
        typer.echo(json.dumps(facts)) if as_json else _print(facts)


def _checked(table: Any, space: Any, count: int, generator: Any) -> dict[str, Any]:
    """Mean relative error of the table's sums for fresh networks, measured now."""
    import statistics

    import torch

    from nascence.core.randomness import seeded
    from nascence.latency.measurement import network_milliseconds

    drawn = [space.sample(generator=generator) for _ in range(count)]
    side = table.side
    images = torch.randn(table.batch, space.in_channels, side, side, generator=generator)
    with seeded(None):
        times = network_milliseconds([space.build(each) for each in drawn], images)
    measured = [statistics.median(each) for each in times]
    predicted = [table.of(each) for each in drawn]
    errors = [abs(p / m - 1) for p, m in zip(predicted, measured, strict=True)]
    return {"networks": count, "mean_error": statistics.mean(errors), "largest": max(errors)}


def _print(facts: dict[str, Any]) -> None:
    typer.echo(
        f"{facts['least_ms']:.3g} to {facts['greatest_ms']:.3g} ms for {facts['batch']} of "
        f"{facts['side']} pixels, of which {facts['fixed_ms']:.3g} are the fixed parts"
    )
    if checked := facts["checked"]:
        typer.echo(
            f"{checked['networks']} random networks: {100 * checked['mean_error']:.1f} % from "
            f"their prediction in the mean, {100 * checked['largest']:.1f} % at most"
        )
        if checked["mean_error"] > 0.1:
            line("more than 10 %: measure again with more --passes, or on a quieter machine")
    typer.echo(f"wrote {facts['table']}")
