"""``nascence meta-train``: one command for each thing that is meta-trained."""

from pathlib import Path
from typing import Annotated

import typer

from nascence.cli.console import (
    Device,
    Images,
    Json,
    Leg,
    Quiet,
    between_commas,
    failures_as_lines,
    run_and_print,
    shares,
)
from nascence.cli.help import Command
from nascence.cli.meta_train_optimizer import optimizer
from nascence.cli.number_options import Seed, number, numbers
from nascence.core import ranges
from nascence.core.durations import parse_duration

meta_train = typer.Typer(
    no_args_is_help=True, help="Meta-train a hypernetwork or an optimizer, in legs that resume."
)


@meta_train.callback()
def _group() -> None:
    """Meta-train a hypernetwork or an optimizer."""


@meta_train.command(cls=Command)
def ghn(
    out: Annotated[Path, typer.Option(help="Folder of the run, which continues if it exists.")],
    data: Images = "cifar10-sample",
    kind: Annotated[str, typer.Option(help="Kind of hypernetwork: ghn1, ghn2 or mlp.")] = "ghn2",
    networks: Annotated[
        str,
        typer.Option(
            help="Kinds of network to train on, with their shares: deepnets, bn-free, vit, or a "
            "search space, as deepnets=0.8,nb201=0.2."
        ),
    ] = "deepnets",
    steps: Annotated[
        int,
        number(
            "--steps",
            ranges.STEPS,
            help="Steps of the whole run, where the learning rate ends at zero.",
        ),
    ] = 10_000,
    leg: Leg = None,
    workers: Annotated[
        int,
        number("--workers", ranges.WORKERS_BESIDE, help="Processes that prepare networks ahead."),
    ] = 0,
    processes: Annotated[
        int,
        number(
            "--processes",
            ranges.PROCESSES,
            help="CPU processes that share each meta-batch; for GPUs, use torchrun.",
        ),
    ] = 1,
    meta_batch: Annotated[
        int, number("--meta-batch", ranges.META_BATCH, help="Networks in each step.")
    ] = 1,
    batch: Annotated[
        int, number("--batch", ranges.BATCH, help="Images in each step, the same for all networks.")
    ] = 64,
    size: Annotated[
        int,
        number(
            "--size",
            ranges.META_TRAINING_SIDE,
            help="Side length in pixels that images are scaled to.",
        ),
    ] = 16,
    cells: Annotated[
        str, typer.Option(help="Smallest and largest number of cells of a network.")
    ] = "4,8",
    channels: Annotated[str, typer.Option(help="Widths to choose from.")] = "16,32",
    max_macs: Annotated[
        int,
        number(
            "--max-macs",
            ranges.MULTIPLY_ADDS,
            help="Maximum number of multiply-adds per image of a training network.",
        ),
    ] = 10_000_000,
    learning_rate: Annotated[
        float, number("--learning-rate", ranges.RATE, help="Largest learning rate of Adam.")
    ] = 1e-3,
    schedule: Annotated[
        str,
        typer.Option(
            help="Learning rate: cosine to zero; constant, for a run without an end; or decay to "
            "zero, which ends a constant run named by --start."
        ),
    ] = "cosine",
    average: Annotated[
        float,
        number(
            "--average",
            ranges.KEPT_SHARE,
            help="Share that a moving average of the weights keeps, such as 0.999.",
        ),
    ] = 0.0,
    start: Annotated[
        str, typer.Option(help="A run's folder, or a file or name of weights, to start from.")
    ] = "",
    label_smoothing: Annotated[
        float,
        number(
            "--label-smoothing", ranges.SHARE, help="How much labels are smoothed, between 0 and 1."
        ),
    ] = 0.0,
    crop: Annotated[
        int, number("--crop", ranges.CROP, help="Largest shift of images, in pixels.")
    ] = 0,
    splits: Annotated[
        str, typer.Option(help="Splits to validate on: val, test, wide, deep, dense, bn-free.")
    ] = "val",
    validation_networks: Annotated[
        int, number("--validation-networks", ranges.NETWORKS, help="Networks of each split.")
    ] = 10,
    validate_every: Annotated[
        int, number("--validate-every", ranges.STEPS, help="Steps between validation passes.")
    ] = 2000,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a graph hypernetwork on DeepNets-1M; an interrupted run continues exactly."""
    with failures_as_lines():
        from nascence.jobs.meta_training_ghn import GhnTrainingJob

        job = GhnTrainingJob(
            out=out,
            data=data if data == "cifar10-sample" else str(Path(data).absolute()),
            kind=kind,
            networks=shares("--networks", networks),
            steps=steps,
            meta_batch=meta_batch,
            batch_size=batch,
            size=size,
            cells=numbers("--cells", cells, ranges.NETWORK_CELLS),
            channels=numbers("--channels", channels, ranges.CHANNELS),
            max_macs=max_macs,
            learning_rate=learning_rate,
            label_smoothing=label_smoothing,
            splits=tuple(between_commas(splits)),
            validation_networks=validation_networks,
            validate_every=validate_every,
            seed=seed,
            schedule=schedule,
            average=average,
            start=str(Path(start).absolute()) if Path(start).exists() and start else start,
            crop=crop,
            seconds=None if leg is None else parse_duration(leg),
            workers=workers,
            processes=processes,
            device=device,
        )
        run_and_print(job, as_json=as_json, quiet=quiet)


meta_train.command(cls=Command)(optimizer)
