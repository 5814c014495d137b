"""``nascence design`` and ``nascence resume``."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nascence.cli.console import (
    Device,
    Json,
    Quiet,
    failures_as_lines,
    say,
    say_json,
    say_table,
    shown,
)
from nascence.cli.number_options import LabelDepth, Seed, number
from nascence.core import ranges

LISTED = 5
"""Number of remarks on the data that are printed; the report has all of them."""


def design(
    data: Annotated[
        str,
        typer.Argument(
            help="Images: a folder of class folders, parquet, npz, CIFAR or MNIST files. "
            "Without it, the bundled sample of CIFAR-10."
        ),
    ] = "cifar10-sample",
    budget: Annotated[
        str, typer.Option(help="Time for the whole run, such as 10m or 1h30m.")
    ] = "5m",
    max_params: Annotated[
        int | None,
        number(
            "--max-params",
            ranges.PARAMETERS,
            help="Most parameters that the folded network may have.",
        ),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        number(
            "--max-latency-ms",
            ranges.MILLISECONDS,
            help="Most milliseconds for one image on this machine's CPU.",
        ),
    ] = None,
    classes: Annotated[
        int | None,
        number(
            "--classes", ranges.CLASSES, help="Number of classes; read from the data if not given."
        ),
    ] = None,
    size: Annotated[
        int | None,
        number("--size", ranges.DESIGN_SIDE, help="Side in pixels that images are scaled to."),
    ] = None,
    label_depth: LabelDepth = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option(help="New folder of the run; runs/NAME-1 and so on if not given.")
    ] = None,
    device: Device = "auto",
    workers: Annotated[
        int | None, number("--workers", ranges.PROCESSES, help="Processes that decode images.")
    ] = None,
    family: Annotated[
        str,
        typer.Option(
            help="Kind of network: stages (of blocks), cells (of NAS-Bench-201) or mdeq (deep "
            "equilibrium)."
        ),
    ] = "stages",
    architecture: Annotated[
        str | None,
        typer.Option(help="Train this network of --family stages, such as one of a front."),
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(
            help="Train on a network of timm instead: NAME, with weights of its hub, or NAME=FILE, "
            "with those of a safetensors file."
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Train on the answers of a network, too: the folder of a finished run, its ONNX "
            "file, or NAME or NAME=FILE as for --pretrained."
        ),
    ] = None,
    block: Annotated[
        str,
        typer.Option(
            help="Convolutions of --family cells: identity, or repvgg, whose branches fold."
        ),
    ] = "identity",
    start: Annotated[
        str,
        typer.Option(
            help="Parameters that training starts from: random, or predicted by a hypernetwork."
        ),
    ] = "random",
    optimizer: Annotated[
        str | None,
        typer.Option(
            help="What trains the network: muon, sgd, adamw or learned; muon if not given, and "
            "sgd for --family cells, adamw for mdeq."
        ),
    ] = None,
    baseline: Annotated[
        bool,
        typer.Option(help="Train a hand-designed network for the same time, for comparison."),
    ] = True,
    opset: Annotated[
        int | None,
        number(
            "--opset",
            ranges.OPSET,
            help="ONNX opset of the export; if not given, that of torch's exporter.",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        number(
            "--trials",
            ranges.TRIALS,
            help="Architectures to score, instead of a share of the time.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        number(
            "--steps", ranges.STEPS, help="Steps of each training, instead of a share of the time."
        ),
    ] = None,
    checkpoint_seconds: Annotated[
        float,
        number(
            "--checkpoint-seconds", ranges.CHECKPOINT_SECONDS, help="Seconds between checkpoints."
        ),
    ] = 20.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search, train, fold and export a network for your images, and report on it."""
    with failures_as_lines():
        from nascence.core.durations import parse_duration
        from nascence.design.folder import next_free
        from nascence.design.settings import DesignSettings

        settings = _validated(
            DesignSettings,
            data=data if data == "cifar10-sample" else str(Path(data).absolute()),
            budget=parse_duration(budget),
            max_params=max_params,
            max_latency_ms=max_latency_ms,
            classes=classes,
            size=size,
            label_depth=label_depth,
            seed=seed,
            device=device,
            workers=workers,
            family="pretrained" if pretrained and family == "stages" else family,
            architecture=architecture,
            pretrained=pretrained,
            teacher=teacher,
            block=block,
            start=start,
            optimizer=optimizer,
            baseline=baseline,
            opset=opset,
            trials=trials,
            steps=steps,
            checkpoint_seconds=checkpoint_seconds,
        )
        path = out if out is not None else next_free(Path("runs"), Path(data).stem or "run")
        from nascence import design as pipeline

        with shown(path, quiet=quiet) as progress:
            summary = pipeline.design(path, settings, progress=progress)
        _print_summary(path, summary, as_json=as_json)


def resume(
    run: Annotated[Path, typer.Argument(help="Folder of a run that was stopped.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Continue a run from where it stopped."""
    with failures_as_lines():
        from nascence import design as pipeline

        with shown(run, quiet=quiet) as progress:
            summary = pipeline.resume(run, progress=progress)
        _print_summary(run, summary, as_json=as_json)


def _validated(settings: Callable[..., Any], **values: Any) -> Any:
    from pydantic import ValidationError

    try:
        return settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise ValueError(f"{option} is {first['input']!r}: {first['msg']}") from error


def _share(row: dict[str, Any], name: str) -> str:
    """A figure of a network in percent; a dash in runs of versions that did not measure it."""
    value = row.get(name.replace(" ", "_"))
    return "–" if value is None or value != value else f"{value:.1%}"


def _print_summary(path: Path, summary: dict[str, Any], *, as_json: bool) -> None:
    """Print the result on stdout: a table, or JSON."""
    if as_json:
        say_json({"run": str(path), **summary})
        return
    if summary.get("warning"):
        say(f"Warning: {summary['warning']}")
    figures = ["accuracy", "mean recall"]
    if summary.get("uneven"):
        figures.reverse()
    say_table(
        f"{summary['data']}: {summary['validation_images']} validation images",
        ("", *figures, "parameters", "MACs", "ms", "ms folded", "seconds", "steps"),
        (
            (
                row["name"],
                *(_share(row, name) for name in figures),
                f"{row['parameters']:,}",
                f"{row['macs'] / 1e6:.2f} M",
                f"{row['latency_ms']:.2f}",
                f"{row['folded_latency_ms']:.2f}",
                f"{row['train_seconds']:.0f}",
                f"{row['train_steps']:,}",
            )
            for row in summary["networks"]
        ),
    )
    difference = summary["accuracy_above_baseline"]
    if difference is not None:
        say(
            f"The designed network is {100 * abs(difference):.1f} percentage points "
            f"{'above' if difference >= 0 else 'below'} the baseline."
        )
    if summary.get("compared"):
        say_table(
            "What each part is worth",
            ("", "recipe", "optimizer", *figures, "seconds", "steps"),
            (
                (
                    row["name"],
                    row["recipe"],
                    row["optimizer"],
                    *(_share(row, name) for name in figures),
                    f"{row['seconds']:.0f}",
                    "" if row["steps"] is None else f"{row['steps']:,}",
                )
                for row in summary["compared"]
            ),
        )
    for line in summary.get("worth", ()):
        say(f"Worth: {line}")
    if summary.get("inputs"):
        say(summary["inputs"])
    if summary.get("reading"):  # runs of earlier versions did not note it
        say(f"Data: {summary['reading']}")
    for note in summary.get("notes", ()):  # runs of earlier versions have none
        say(f"Note: {note}")
    for note in summary["skipped"][:LISTED]:
        say(f"Data: {note}")
    if len(summary["skipped"]) > LISTED:
        say(f"Data: {len(summary['skipped']) - LISTED} more such lines are in the report.")
    _print_front(summary.get("front", ()))
    onnx = summary["onnx"]
    say(
        f"ONNX agrees with torch on {onnx['same_top1']} of {onnx['images']} images, "
        f"logits within {onnx['relative_error']:.1e}."
    )
    say(f"Architecture {summary['architecture']}")
    say(f"Report {path / 'report.html'}")


def _print_front(front: Sequence[Mapping[str, Any]]) -> None:
    """Print the networks of the search that are worth training for other limits."""
    if len(front) < 2:  # nothing was compared, or an earlier version made the run
        return
    say_table(
        "Front of the search; train another one by --architecture",
        ("network", "accuracy in the search", "ms folded", "parameters", ""),
        (
            (
                point["name"],
                f"{point['accuracy']:.1%}",
                f"{point['latency_ms']:.2f}",
                f"{point['parameters']:,}",
                "chosen" if point["chosen"] else "",
            )
            for point in front
        ),
    )
