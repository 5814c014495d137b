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
    walls, cpus = [], []
    for _ in range(options.runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    print(f"wall {min(walls):.3f} s at least, median {statistics.median(walls):.3f} s")
    print(f"CPU  {min(cpus):.3f} s at least, median {statistics.median(cpus):.3f} s")


if __name__ == "__main__":
    main()
