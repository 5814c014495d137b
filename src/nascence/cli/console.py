"""What every command shares: exit codes, one-line failures, progress on stderr, results on stdout.

Names of files, classes and data come from outside: none of them is ever read as markup, and what a
terminal would obey is shown as an escape sequence.
"""

import json
import logging
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nascence.core import ranges

if TYPE_CHECKING:
    from rich.progress import TaskID

    from nascence.jobs.job import Job

DONE, FAILED, USAGE, MISSING_EXTRA, INTERRUPTED = 0, 1, 2, 3, 130

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Leg = Annotated[
    str | None,
    typer.Option("--for", help="Stop after this time, such as 25m; the same command continues."),
]
Images = Annotated[
    str,
    typer.Option(
        help="Images: a folder of class folders, parquet, npz, CIFAR or MNIST files. "
        "Without it, the bundled sample of CIFAR-10."
    ),
]


@contextmanager
def failures_as_lines() -> Iterator[None]:
    """End on one line and the right exit code where the cause is outside of the program.

    Raises:
        typer.Exit: in place of the failure, with the exit code of its kind.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # as of `nascence classify ... | head`: whoever read has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("nascence"):
            raise
        line(f"{error}; install it with: pip install {error.name}")
        raise typer.Exit(MISSING_EXTRA) from error
    except ArithmeticError as error:
        line(str(error))
        raise typer.Exit(FAILED) from error
    except (ValueError, OSError) as error:
        line(str(error))
        raise typer.Exit(USAGE) from error


def check_new_file(path: Path | None) -> None:
    """Raise ValueError for an output file that already exists or whose folder does not."""
    if path is not None and path.exists():
        raise ValueError(f"{path} is there already; give another file or remove it")
    if path is not None and not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}; make it or choose another")


def between_commas(text: str) -> list[str]:
    """Return what stands between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def shares(option: str, text: str) -> dict[str, float]:
    """Return the shares of ``name=share,name=share``; a name alone has a share of 1.

    Raises:
        ValueError: A share is no number above zero, or a name stands twice.
    """
    found: dict[str, float] = {}
    for word in between_commas(text):
        name, equals, value = (part.strip() for part in word.partition("="))
        share = ranges.WEIGHT.read(f"{option} {name}", value) if equals else 1.0
        if name in found:
            raise ValueError(
                f"{option} has {word!r}; give every name once, with a share, as a=0.8,b=0.2"
            )
        found[name] = share
    if not found:
        raise ValueError(f"{option} is empty; give names with shares, as a=0.8,b=0.2")
    return found


def line(message: str) -> None:
    """Print one line on stderr."""
    typer.echo("nascence: " + printable(" ".join(message.split())), err=True)


def say(message: str) -> None:
    """Print one line of a result on stdout."""
    typer.echo(printable(message))


def say_json(facts: Any) -> None:
    """Print facts as one line of JSON, which has no nan and no infinity: they become null."""
    typer.echo(json.dumps(_finite(facts), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def say_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a line and below it a table on stdout, with its first column left-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    say(title)
    table = Table()
    for place, heading in enumerate(headings):
        table.add_column(Text(printable(heading)), justify="right" if place else "left")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    # What is read by a program or a file must not depend on a terminal's width.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110).print(table)


def printable(text: str) -> str:
    """Return ``text`` with everything invisible escaped, including lone surrogates."""
    shown = (each if each.isprintable() else repr(each)[1:-1] for each in text)
    return "".join(shown)


def quieten_libraries() -> None:
    """Keep warnings and log messages of libraries off the console; failures still raise."""
    logging.getLogger().addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


@contextmanager
def shown(path: Path, *, quiet: bool) -> Iterator[Callable[[str, float, str], None]]:
    """Show progress bars on stderr, one for each stage."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<9}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[message]}", markup=False),
    )
    bars: dict[str, TaskID] = {}
    try:
        with Progress(*columns, console=Console(stderr=True), disable=quiet) as display:

            def show(stage: str, fraction: float, message: str) -> None:
                if stage not in bars:
                    bars[stage] = display.add_task(stage, total=1.0, message="")
                display.update(bars[stage], completed=fraction)
                if message:
                    display.update(bars[stage], message=printable(message))
                if fraction >= 1:
                    display.stop_task(bars[stage])

            yield show
    except KeyboardInterrupt:
        if (path / "config.yaml").exists():
            line(f"stopped; go on with: nascence resume {path}")
        raise


def run_and_print(job: "Job", *, as_json: bool, quiet: bool, resumes: bool = True) -> None:
    """Carry a job out, or on, and print its facts as JSON or its summary for people.

    Args:
        job: What to do.
        as_json: Print the facts.
        quiet: Show no progress.
        resumes: Whether the job goes on from its folder after an interruption.
    """
    # torchrun starts a command several times; the first process speaks for all
    speaks = os.environ.get("RANK", "0") == "0"
    quiet = quiet or not speaks
    with shown(job.out, quiet=quiet) as progress:
        try:
            outcome = job.run(progress=None if quiet else progress)
        except KeyboardInterrupt:
            if resumes:
                line(f"stopped; the same command goes on with --out {job.out}")
            raise
    if not speaks:
        return
    if as_json:
        say_json(outcome.facts())
        return
    for part in outcome.summary():
        if isinstance(part, str):
            say(part)
        else:
            say_table(part.title, part.headings, part.rows)


def whole(value: float | None) -> float | None:
    """Return a whole number as an int."""
    return int(value) if value is not None and value == int(value) else value
