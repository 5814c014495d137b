"""Seconds that `nascence --help` takes.

python -m benchmarks.cli.start_up [--runs 10]
"""

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks import ledger


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--runs", type=int, default=10)
    options = ledger.parse(parser, words)
    command = [sys.executable, "-m", "nascence.cli", "--help"]
    clocks: dict[str, list[float]] = {"wall": [], "CPU": []}
    for _ in range(options.runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        clocks["wall"].append(time.perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        clocks["CPU"].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    with ledger.Report(options) as report:
        table = report.table(
            "Seconds of nascence --help", "clock", ("least", "s", "lower"), ("median", "s", "lower")
        )
        for clock, taken in clocks.items():
            table.row(clock, f"{min(taken):.3f}", f"{statistics.median(taken):.3f}")


if __name__ == "__main__":
    main()
