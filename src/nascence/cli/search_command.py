"""``nascence search``."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from nascence import registry
from nascence.cli.console import Json, Quiet, failures_as_lines, run_and_print, whole
from nascence.cli.number_options import number
from nascence.core import ranges
from nascence.core.durations import parse_duration
from nascence.jobs.presets import PRESETS


def beginning(*kinds: str) -> Callable[[str], list[str]]:
    """Complete a word in a shell by our names of some kinds."""

    def completed(incomplete: str) -> list[str]:
        names = registry.own_names(*kinds).split(", ")
        return [name for name in names if name.startswith(incomplete)]

    return completed


JUDGED, NETWORKS, TRAINING, KEPT = "How networks are judged", "Networks", "Training", "The run"


def search(
    space: Annotated[
        str | None,
        typer.Argument(
            help=f"{registry.own_names('space', 'table')}.",
            autocompletion=beginning("space", "table"),
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help=f"{registry.own_names('strategy')}; or by gradients: "
            f"{registry.own_names('gradient strategy')}; or ofa, once-for-all, for "
            "elastic-mobile; or autogan for gan.  [default: evolution]",
            autocompletion=beginning("strategy", "gradient strategy"),
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help=f"Published recipe; options that you give take precedence: {', '.join(PRESETS)}."
        ),
    ] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option(help="A setting of the strategy, such as population=50. Can be repeated."),
    ] = None,
    budget: Annotated[
        str,
        typer.Option(help="Architectures to score, 500 by default, or a time, such as 10m."),
    ] = "",
    evaluator: Annotated[
        str | None,
        typer.Option(
            help=f"{registry.own_names('evaluator')} or a score such as naswot; + sums ranks. By "
            "default the table, or naswot where there is none.",
            rich_help_panel=JUDGED,
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            help="Accuracy that the table evaluator returns, such as cifar100/validation-12.",
            rich_help_panel=JUDGED,
        ),
    ] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option(
            help="Also minimise this: parameters, macs, latency, latency/DEVICE. Can be repeated.",
            rich_help_panel=JUDGED,
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            help="Most that a cost may be, such as macs=60e6. Can be repeated.",
            rich_help_panel=JUDGED,
        ),
    ] = None,
    latencies: Annotated[
        Path | None,
        typer.Option(
            help="File of latencies: for nb201, or made by nascence bench latency.",
            rich_help_panel=JUDGED,
        ),
    ] = None,
    latency_weight: Annotated[
        float | None,
        number(
            "--latency-weight",
            ranges.LATENCY_WEIGHT,
            help="Weight of latency in the loss of proxyless; 0.2 if there is a file or limit.",
            panel=JUDGED,
        ),
    ] = None,
    images: Annotated[
        int | None,
        number(
            "--images",
            ranges.IMAGES,
            help="Images that a score sees: 64, or 500 from a generator.",
            panel=JUDGED,
        ),
    ] = None,
    width: Annotated[
        float | None,
        number(
            "--width",
            ranges.WIDTH,
            help="Width of the space's networks; for mobile, a factor.",
            panel=NETWORKS,
        ),
    ] = None,
    cells: Annotated[
        int | None,
        number("--cells", ranges.CELLS, help="Cells of the space's networks.", panel=NETWORKS),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Images for everything that builds networks.  [default: cifar10-sample]",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    size: Annotated[
        int | None,
        number(
            "--size",
            ranges.SIDE,
            help="Side in pixels that images are scaled to.",
            panel=TRAINING,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        number(
            "--steps",
            ranges.STEPS,
            help="Steps of each training; in all, for a gradient search or ofa.  [default: 500]",
            panel=TRAINING,
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            help="Decisions at which the supernet of a gradient search, ofa or autogan is split, "
            "such as edge_0_1,edge_0_2.",
            rich_help_panel=TRAINING,
        ),
    ] = "",
    stop_at_skips: Annotated[
        int | None,
        number(
            "--stop-at-skips",
            ranges.SKIPS,
            help="End a gradient search once its cell has this many identities.",
            panel=TRAINING,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the search, which is resumed if it exists; a new one if not given.",
            rich_help_panel=KEPT,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        number(
            "--seed", ranges.SEED, help="Seed of every random choice.  [default: 0]", panel=KEPT
        ),
    ] = None,
    workers: Annotated[
        int | None,
        number(
            "--workers",
            ranges.PROCESSES,
            help="Processes that search at once.  [default: 1]",
            panel=KEPT,
        ),
    ] = None,
    shared: Annotated[
        bool,
        typer.Option(
            help="Let other searches, each with its own --seed, join this study.",
            rich_help_panel=KEPT,
        ),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search a space for its best networks, keep the study, and report how far to trust it."""
    with failures_as_lines():
        from nascence.jobs.job import make_job

        sizes = {"width": whole(width), "cells": cells}
        given = {
            "space": space,
            "strategy": strategy,
            "evaluator": evaluator,
            "table": table,
            "latencies": latencies,
            "latency_weight": latency_weight,
            "images": images,
            "data": data,
            "size": size,
            "steps": steps,
            "stop_at_skips": stop_at_skips,
            "seed": seed,
            "workers": workers,
            "shared": shared or None,
            "out": out or _new_folder(space or preset),
            "costs": tuple(dict.fromkeys(cost or ())) or None,
            "limits": dict(limit_of(text) for text in limit or ()) or None,
            "settings": dict(setting_of(text) for text in setting or ()) or None,
            "sizes": {name: value for name, value in sizes.items() if value is not None} or None,
            "split": decisions_of(split) or None,
            **budget_of(budget),
        }
        options = {name: value for name, value in given.items() if value is not None}
        run_and_print(make_job(preset=preset, **options), as_json=as_json, quiet=quiet)


def _new_folder(name: str) -> Path:
    """Return the first of runs/search-NAME-1 and so on that is not there."""
    number, name = 1, Path(name).name
    while (Path("runs") / f"search-{name}-{number}").exists():
        number += 1
    return Path("runs") / f"search-{name}-{number}"


def budget_of(text: str) -> dict[str, int | float]:
    """Read a number of architectures as ``trials``, or a time as ``seconds``.

    Raises:
        ValueError: no number in its range, and no time.
    """
    if not text:
        return {}
    if not re.fullmatch(r"\d+", text.strip()):
        return {"seconds": parse_duration(text)}
    return {"trials": int(ranges.TRIALS.read("--budget", text))}


def limit_of(text: str) -> tuple[str, float]:
    """Read a cost and its largest value, as ``macs=60e6``.

    Raises:
        ValueError: no name, or no positive number.
    """
    name, _, most = text.partition("=")
    if not name or not most:
        raise ValueError(f"--limit is {text!r}; give a cost and a positive number: macs=60e6")
    return name, ranges.COST.read(f"--limit {name}", most)


def setting_of(text: str) -> tuple[str, Any]:
    """Read a name and a number, a word, or true or false, as ``population=50``.

    Raises:
        ValueError: no name, or nothing after it.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"--setting is {text!r}; give a name and a value: population=50")
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        read = value
    if isinstance(read, int | float) and not isinstance(read, bool):
        ranges.SETTING.check(f"--setting {name}", read)
    return name.replace("-", "_"), read


def decisions_of(text: str) -> tuple[str, ...]:
    """Read names with commas between them.

    Raises:
        ValueError: an empty name between commas.
    """
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(names):
        raise ValueError(f"--split is {text!r}; give decisions as edge_0_1,edge_0_2")
    return names
