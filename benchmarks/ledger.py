"""What all benchmarks share: arguments, CIFAR-10, timing, rows that are kept, tables and JSON.

A benchmark is run as a module from the root of the repository. It prints its tables as Markdown;
with ``--json FILE`` it also writes them, with the command, the machine, the versions and the
seeds. The files in ``benchmarks/results`` are such files with words added, and a benchmark that
writes to one of them leaves those words as they are. ``make ledger`` makes the pages of
``docs/results`` from them.
"""

import argparse
import contextlib
import io
import json
import os
import platform
import re
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from pyarrow import parquet
from torch import Tensor

from nascence.data import Dataset, Split

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
VALIDATION = 5_000
Cell = str | int | float | None
Column = str | tuple[str, str, str]


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with ``--json`` whose help is the docstring ``doc`` of a benchmark."""
    first, _, rest = (doc or "").partition("\n")
    made = argparse.ArgumentParser(
        prog=module_command(),
        description=first,
        epilog=rest.strip("\n"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the tables as JSON")
    return made


def commands(
    made: argparse.ArgumentParser, runs: Mapping[str, Callable[[argparse.Namespace], None]]
) -> dict[str, argparse.ArgumentParser]:
    """Give a parser a command for each function; the chosen one is ``options.run``."""
    added = made.add_subparsers(required=True, metavar="COMMAND")
    found = {}
    for name, run in runs.items():
        found[name] = command = added.add_parser(name, help=(run.__doc__ or "").split("\n")[0])
        command.set_defaults(run=run)
        command.add_argument("--json", type=Path, metavar="FILE", default=argparse.SUPPRESS)
    return found


def run_and_report(
    made: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], None],
    report: Callable[[argparse.Namespace], None],
) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Give a parser the commands ``run``, with ``--data``, and ``report``; both have ``--out``."""
    first, second = commands(made, {"run": run, "report": report}).values()
    first.add_argument("--data", type=Path, required=True, help="CIFAR-10's training images")
    for command in (first, second):
        command.add_argument(
            "--out", type=Path, required=True, help="folder that keeps what is done"
        )
    return first, second


def parse(made: argparse.ArgumentParser, words: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments (those of the process where ``words`` is None); compute on one thread."""
    options = made.parse_args(words)
    given = list(sys.argv[1:] if words is None else words)
    if options.json is not None:
        place = next(n for n, word in enumerate(given) if word.split("=")[0] == "--json")
        del given[place : place + (1 if "=" in given[place] else 2)]
    shown = [Path(word).name if Path(word).is_absolute() else word for word in given]
    options.command = f"{module_command()} {shlex.join(shown)}".strip()
    torch.set_num_threads(1)
    return options


def module_command() -> str:
    """How the running benchmark is started."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name}" if spec else "python"


def pictures(path: Path | str) -> tuple[Tensor, Tensor]:
    """CIFAR-10 training images as bytes, (N, 3, 32, 32), and labels (N,).

    Args:
        path: a parquet file with the columns ``img`` and ``label``, or a folder with
            ``images.npy`` (N, 32, 32, 3) and ``labels.npy``.
    """
    if Path(path).is_dir():
        stacked = np.load(Path(path) / "images.npy")
        labels = np.load(Path(path) / "labels.npy")
    else:
        table = parquet.read_table(path)
        encoded = (row["bytes"] for row in table["img"].to_pylist())
        stacked = np.stack([np.asarray(Image.open(io.BytesIO(e)).convert("RGB")) for e in encoded])
        labels = np.asarray(table["label"].to_pylist())
    images = torch.from_numpy(stacked).permute(0, 3, 1, 2)
    return images, torch.from_numpy(labels.astype(np.int64))


def cifar10(path: Path, side: int, *, cache: Path) -> Dataset:
    """CIFAR-10's 50,000 training images as a data set whose last 5,000 validate.

    Args:
        path: what :func:`pictures` reads.
        side: pixels; images are averaged down to it.
        cache: folder for the images that were read.
    """
    stored = cache / f"cifar10-{side}.npz"
    if not stored.exists():
        read, numbers = pictures(path)
        scaled = torch.nn.functional.interpolate(read.float(), size=(side, side), mode="area")
        cache.mkdir(parents=True, exist_ok=True)
        part = stored.with_suffix(".part.npz")
        np.savez(part, images=scaled.round().to(torch.uint8).numpy(), labels=numbers.numpy())
        part.replace(stored)
    with np.load(stored, allow_pickle=False) as arrays:
        images, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"])
    train = Split(images[:-VALIDATION], labels[:-VALIDATION])
    pixels = train.images.float() / 255
    return Dataset(
        name="CIFAR-10",
        train=train,
        validation=Split(images[-VALIDATION:], labels[-VALIDATION:]),
        class_names=CLASSES,
        mean=tuple(pixels.mean((0, 2, 3)).tolist()),
        std=tuple(pixels.std((0, 2, 3)).tolist()),
        skipped=(),
        fingerprint=f"cifar10-{side}",
    )


def in_turns(
    contenders: Mapping[str, Callable[[], object]], rounds: int, *, warm_up: int = 1
) -> dict[str, list[float]]:
    """CPU-seconds of every call, ``rounds`` of each contender, which take turns.

    Whatever else the machine does then falls on all alike. The rounds of ``warm_up`` do not count.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(warm_up + rounds):
        for name, contender in contenders.items():
            started = time.process_time()
            contender()
            if number >= warm_up:
                found[name].append(time.process_time() - started)
    return found


@cache
def torchvision_operators() -> torch.library.Library:
    """Define the operators without which torchvision is not imported beside a CPU-only torch."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    with contextlib.suppress(RuntimeError):  # where they are there
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def read_rows(path: Path | None) -> list[dict[str, Any]]:
    """The rows that :func:`keep_row` wrote; a last line that was cut off is left out."""
    if path is None or not path.exists():
        return []
    *lines, last = path.read_text().split("\n")
    lines = [line for line in lines if line.strip()]
    if last.strip():
        with contextlib.suppress(json.JSONDecodeError):
            json.loads(last)
            lines.append(last)
        path.write_text("".join(f"{line}\n" for line in lines))
    return [json.loads(line) for line in lines]


def keep_row(path: Path | None, row: dict[str, Any]) -> dict[str, Any]:
    """Append a row to a file of JSON lines, so that a later run need not repeat it."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
    return row


class Parts:
    """Finished parts of a long benchmark, by name, each a line of a file.

    Args:
        path: of the file of JSON lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = {row["part"]: row for row in read_rows(path) if "part" in row}

    def get(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the part ``name``, made and kept with its CPU-seconds where it is missing."""
        if name not in self.done:
            started = time.process_time()
            row = {"part": name, **make()}
            row["cpu_seconds"] = round(time.process_time() - started, 1)
            self.done[name] = keep_row(self.path, row)
            print(json.dumps(row)[:300], file=sys.stderr, flush=True)
        return self.done[name]


def spread(values: Iterable[float], form: str = ".1f") -> str:
    """Mean ± standard deviation as text; of one value the value, of none nothing."""
    known = list(values)
    if not known:
        return ""
    mean = format(statistics.mean(known), form)
    return mean if len(known) == 1 else f"{mean} ± {format(statistics.stdev(known), form)}"


class Table:
    """A table of a report, printed as it grows."""

    def __init__(self, title: str, columns: Sequence[Column]) -> None:
        self.title = title
        self.columns = [
            {"name": column} if isinstance(column, str)
            else dict(zip(("name", "unit", "better"), column, strict=True))
            for column in columns
        ]  # fmt: skip
        self.rows: list[list[Cell]] = []

    def row(self, *cells: Cell) -> None:
        """Add a row and print it.

        Raises:
            ValueError: where it has another number of cells than there are columns.
        """
        if len(cells) != len(self.columns):
            raise ValueError(f"got {len(cells)} cells for {len(self.columns)} columns: {cells}")
        if not self.rows:
            print(f"\n{self.title}\n", *markdown_heading(self.columns), sep="\n")
        self.rows.append(list(cells))
        print(markdown_row(cells), flush=True)


class Report:
    """The tables of one run; written to ``options.json`` when the run ends without an error.

    Args:
        options: what :func:`parse` returned.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.tables: list[Table] = []

    def table(self, title: str, *columns: Column) -> Table:
        """Begin a table.

        Args:
            title: what it shows.
            columns: names, or (name, unit, "higher" or "lower": what is better).
        """
        self.tables.append(Table(title, columns))
        return self.tables[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        file = self.options.json
        if kind is None and file is not None:
            words = json.loads(file.read_text()) if file.exists() else {}
            write_json(file, {**words, **self.facts()})

    def facts(self) -> dict[str, Any]:
        """What a file of results has of a run."""
        seeds = getattr(self.options, "seeds", getattr(self.options, "seed", None))
        return {
            "command": [self.options.command],
            "machine": machine(),
            "versions": versions(),
            "seeds": seeds,
            "tables": [
                {"title": each.title, "columns": each.columns, "rows": each.rows}
                for each in self.tables
            ],
        }


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write a file of results, a row of a table on a line of its own."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    innermost = re.compile(r"([\[{])\n\s+([^\[\]{}]*?)\n\s+([\]}])")
    text = innermost.sub(lambda found: found[1] + re.sub(r"\n\s+", " ", found[2]) + found[3], text)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


def markdown_heading(columns: Sequence[Mapping[str, str]]) -> list[str]:
    """The two lines over a Markdown table, with each column's unit and what is better."""
    names = []
    for column in columns:
        better = column.get("better")
        remarks = [column.get("unit"), f"{better} is better" if better else None]
        said = ", ".join(each for each in remarks if each)
        names.append(f"{column['name']} ({said})" if said else column["name"])
    return [markdown_row(names), "|" + " --- |" * len(names)]


def markdown_row(cells: Iterable[Cell]) -> str:
    """One line of a Markdown table; None is an empty cell."""
    texts = ("" if cell is None else str(cell).replace("|", "\\|") for cell in cells)
    return "| " + " | ".join(texts) + " |"


def machine() -> str:
    """Processor, number of cores that may be used, and memory; neither host nor path."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = names[0] if names else platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cores} cores of {name}, {memory:.0f} GB, {platform.system()}"


def versions() -> str:
    """Versions of Python and of what computes."""
    return f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}"
