"""Attacks on the product, each of which it holds against, or not; a seed chooses the inputs.

    python -m benchmarks.reliability.tries
    python -m benchmarks.reliability.tries --kind 4 --seed 1

A try is silently wrong where the product says that all went well and it did not, lost where work
or data is gone or cannot go on, and a traceback where an error comes through that is no refusal
in one line. All data is made on the spot. Kills and Ctrl-C (kind 4) take five minutes of one core.
"""

import argparse
import os
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmarks import ledger
from benchmarks.reliability.trying import HELD, VERDICTS, Try, Verdict, judged

KINDS: dict[int, tuple[str, str]] = {
    1: ("labels and splits", "Every image has the label that a person reads, or the line says why"),
    2: ("repeated, black and one-pixel images", "Scores are finite or say why, for any batch"),
    3: ("one folder, two processes", "One works, the other is refused in a line"),
    4: ("kills, full disks, Ctrl-C", "What goes on ends as what was never stopped"),
    5: ("fold", "A folded network computes what it did, and is a module as before"),
    6: ("learned optimizers", "Finite weights or a refusal at once, for any parameters and state"),
    7: ("exported ONNX files", "No trace of the machine, the same bytes, any batch, checked"),
    8: ("names", "Names from outside are never markup"),
    9: ("damaged files", "One line, whatever is in the file"),
    10: ("absurd values", "One line, at once"),
    11: ("dtypes and empty batches", "Work, or one line"),
    12: ("studies", "A folder is a folder, and as many trials as were asked for"),
    13: ("pickling", "What is sent to another process survives"),
    14: ("wrapped optimizers", "A wrapper loses neither steps nor state"),
    15: ("formats", "The pixels and labels that the reference reader gives, or a line"),
    16: ("precision", "The faster arithmetic is taken, and the result is a network"),
    17: ("fold, odd structures", "The folded network computes what it did, on any images"),
}  # fmt: skip
MODULES = {
    1: "labels", 2: "batches", 3: "processes", 4: "stops", 5: "folding", 6: "optimizers",
    7: "onnx_files", 8: "markup", 9: "damage", 10: "absurd", 11: "dtypes", 12: "studies",
    13: "pickling", 14: "wrappers", 15: "formats", 16: "precision", 17: "structures",
}  # fmt: skip


def tried(kind: int, seed: int) -> tuple[list[Verdict], float]:
    """Run the tries of a kind; the CPU-seconds are those of all its processes."""
    started = cpu_seconds()
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        module = import_module(f"benchmarks.reliability.{MODULES[kind]}")
        rng = random.Random(f"{seed} {kind}")
        each: Try
        for each in module.tries(rng, Path(folder)):
            began = time.monotonic()
            verdict = judged(each)
            verdicts.append(verdict)
            if verdict.verdict != HELD or time.monotonic() - began > 20:
                print(
                    f"{kind} {verdict.verdict}, {time.monotonic() - began:.0f} s: {verdict.name}: "
                    f"{' '.join(verdict.reason.split())[:400]}",
                    file=sys.stderr,
                    flush=True,
                )
    return verdicts, cpu_seconds() - started


def cpu_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def counted(kind: int, seed: int) -> dict[str, Any]:
    """Run a kind: how many tries ended how, and what did not hold."""
    verdicts, seconds = tried(kind, seed)
    found = Counter(each.verdict for each in verdicts)
    failed = [
        [each.name, each.verdict, without_places(" ".join(each.reason.split())[:160])]
        for each in verdicts
        if each.verdict != HELD
    ]
    numbers = [found[verdict] for verdict in VERDICTS]
    return {"kind": kind, "numbers": numbers, "failed": failed, "seconds": round(seconds)}


def run(options: argparse.Namespace) -> None:
    """Print a table of the kinds, and one of what did not hold."""
    with ledger.Report(options) as report:
        counts = report.table(
            "Tries by kind", "kind", "promise", "tries", *VERDICTS, ("time", "CPU-s", "lower")
        )
        parts = ledger.Parts(options.out) if options.out else None
        rows = []
        for kind in options.kind or KINDS:
            count = partial(counted, kind, options.seed)
            row = parts.get(f"{kind} of seed {options.seed}", count) if parts else count()
            rows.append(row)
            name, promise = KINDS[kind]
            numbers = row["numbers"]
            counts.row(f"{kind}. {name}", promise, sum(numbers), *numbers, row["seconds"])
        totals = [sum(column) for column in zip(*(row["numbers"] for row in rows), strict=True)]
        counts.row("all", "", sum(totals), *totals, sum(row["seconds"] for row in rows))
        if any(row["failed"] for row in rows):
            table = report.table("What did not hold", "kind", "try", "verdict", "what happened")
            for row in rows:
                for cells in row["failed"]:
                    table.row(row["kind"], *cells)


def without_places(text: str) -> str:
    """A text without the temporary folders of this machine."""
    return " ".join(
        Path(word).name if word.startswith(tempfile.gettempdir()) else word for word in text.split()
    )


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--kind", type=int, action="append", choices=KINDS, help="can be repeated")
    parser.add_argument("--seed", type=int, default=0, help="chooses the inputs")
    parser.add_argument("--out", type=Path, help="file that keeps the kinds that are done")
    options = ledger.parse(parser, words)
    warnings.simplefilter("ignore")
    os.environ["NASCENCE_CACHE"] = ""
    torch.set_num_threads(1)
    run(options)


if __name__ == "__main__":
    main()
