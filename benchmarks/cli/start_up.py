"""Seconds that `nascence --help` takes.

python -m benchmarks.cli.start_up [--runs 10]
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
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
