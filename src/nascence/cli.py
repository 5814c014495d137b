"""The command ``nascence``. Torch is loaded inside the commands, so that --help is quick."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

DONE, FAILED, USAGE, MISSING_EXTRA, INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    name="nascence",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "NASCENCE"},
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from nascence import __version__

        typer.echo(__version__)
        raise typer.Exit(DONE)


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Design a neural network, predict its first weights, train it and make it small."""


@app.command()
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
    max_params: Annotated[int | None, typer.Option(help="Most parameters after folding.")] = None,
    max_latency_ms: Annotated[
        float | None, typer.Option(help="Longest time for one image on this machine's CPU.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Number of classes; read from the data if not given.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Side in pixels that images are scaled to.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="New folder of the run; runs/NAME-1 and so on if not given.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(help="Processes that decode images.")] = None,
    block: Annotated[
        str, typer.Option(help="Convolutions of the network: identity or repvgg.")
    ] = "identity",
    baseline: Annotated[
        bool,
        typer.Option(help="Train a hand-designed network as long, to compare with."),
    ] = True,
    trials: Annotated[
        int | None, typer.Option(help="Architectures to score, in place of a share of the time.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of each training, in place of a share of the time.")
    ] = None,
    checkpoint_seconds: Annotated[float, typer.Option(help="Time between checkpoints.")] = 20.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search, train, fold and export a network for your images, and report on it."""
    with _failures_as_lines():
        from nascence.design.folder import next_free
        from nascence.design.settings import Settings, parse_duration

        settings = _validated(
            Settings,
            data=data if data == "cifar10-sample" else str(Path(data).absolute()),
            budget=parse_duration(budget),
            max_params=max_params,
            max_latency_ms=max_latency_ms,
            classes=classes,
            size=size,
            seed=seed,
            device=device,
            workers=workers,
            block=block,
            baseline=baseline,
            trials=trials,
            steps=steps,
            checkpoint_seconds=checkpoint_seconds,
        )
        path = out if out is not None else next_free(Path("runs"), Path(data).stem or "run")
        from nascence import design as pipeline

        with _shown(path, quiet=quiet) as progress:
            summary = pipeline.design(path, settings, progress=progress)
        _print_summary(path, summary, as_json=as_json)


@app.command()
def resume(
    run: Annotated[Path, typer.Argument(help="Folder of a run that was stopped.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Carry a run on from where it was stopped."""
    with _failures_as_lines():
        from nascence import design as pipeline

        with _shown(run, quiet=quiet) as progress:
            summary = pipeline.resume(run, progress=progress)
        _print_summary(run, summary, as_json=as_json)


def main() -> None:
    """Entry point of the command."""
    # Threads that spin while they wait bring a busy machine to a stand-still.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()


def _validated(settings: Callable[..., Any], **values: Any) -> Any:
    from pydantic import ValidationError

    try:
        return settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise ValueError(f"{option} is {first['input']!r}: {first['msg']}") from error


@contextmanager
def _failures_as_lines() -> Iterator[None]:
    """End on one line and the right exit code where the cause is outside of the program."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("nascence"):
            raise
        _line(f"{error}; install it with: pip install {error.name}")
        raise typer.Exit(MISSING_EXTRA) from error
    except ArithmeticError as error:
        _line(str(error))
        raise typer.Exit(FAILED) from error
    except (ValueError, OSError) as error:
        _line(str(error))
        raise typer.Exit(USAGE) from error


def _line(message: str) -> None:
    typer.echo("nascence: " + " ".join(message.split()), err=True)


@contextmanager
def _shown(path: Path, *, quiet: bool) -> Iterator[Callable[[str, float, str], None]]:
    """Progress bars on stderr, one for each stage. Ctrl-C stops after a checkpoint."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True

    previous = signal.signal(signal.SIGINT, interrupt)
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[message]}"),
    )
    bars: dict[str, TaskID] = {}
    try:
        with Progress(*columns, console=Console(stderr=True), disable=quiet) as display:

            def show(stage: str, fraction: float, message: str) -> None:
                if stage not in bars:
                    bars[stage] = display.add_task(stage, total=1.0, message="")
                display.update(bars[stage], completed=fraction)
                if message:
                    display.update(bars[stage], message=message)
                if fraction >= 1:
                    display.stop_task(bars[stage])
                if interrupted:
                    raise KeyboardInterrupt

            yield show
    except KeyboardInterrupt:
        if (path / "config.yaml").exists():
            _line(f"stopped; go on with: nascence resume {path}")
        raise
    finally:
        signal.signal(signal.SIGINT, previous)


def _print_summary(path: Path, summary: dict[str, Any], *, as_json: bool) -> None:
    """The result on stdout: a table for people, or JSON."""
    if as_json:
        typer.echo(json.dumps({"run": str(path), **summary}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{summary['data']}: {summary['validation_images']} validation images")
    for heading in ("", "accuracy", "parameters", "MACs", "ms", "ms folded", "seconds", "steps"):
        table.add_column(heading, justify="left" if not heading else "right")
    for row in summary["networks"]:
        table.add_row(
            row["name"],
            f"{row['accuracy']:.1%}",
            f"{row['parameters']:,}",
            f"{row['macs'] / 1e6:.2f} M",
            f"{row['latency_ms']:.2f}",
            f"{row['folded_latency_ms']:.2f}",
            f"{row['train_seconds']:.0f}",
            f"{row['train_steps']:,}",
        )
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 100)
    console.print(table)
    difference = summary["accuracy_above_baseline"]
    if difference is not None:
        console.print(
            f"The designed network is {100 * abs(difference):.1f} points "
            f"{'above' if difference >= 0 else 'below'} the baseline."
        )
    onnx = summary["onnx"]
    console.print(
        f"ONNX agrees with torch on {onnx['same_top1']} of {onnx['images']} images, "
        f"logits within {onnx['relative_error']:.1e}."
    )
    console.print(f"Architecture {summary['architecture']}", soft_wrap=True, highlight=False)
    console.print(f"Report {path / 'report.html'}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
