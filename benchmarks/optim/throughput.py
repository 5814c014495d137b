"""Particle-steps a second of evolution strategies on the yardstick task.

    python -m benchmarks.optim.throughput --workers 2
    python -m benchmarks.optim.throughput --workers 1 --compiled

The yardstick is a perceptron 64-32-10 on 8x8 images with batches of 64 and the small optimizer
with 4 hidden units; a particle-step is one step of one network: its gradient, its optimizer with
a theta of its own, its share of the outer loss. One process of one thread for each worker.
With one, which is this one, the rate for a second of CPU time is printed too: on a shared machine
that and not the wall clock says what a core does.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks import ledger
from nascence.optim import Small, meta_train
from nascence.tasks import Yardstick


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--window", type=int, default=50)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--compiled", action="store_true", help="the optimizer as a compiled loop")
    arguments = ledger.parse(parser, words)
    os.environ["OMP_NUM_THREADS"] = "1"
    # Of every outer step: particle-steps so far, the wall clock, the CPU time of this process.
    times: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        meta_train(
            Small(4),
            [Yardstick()],
            out=Path(folder),
            steps=arguments.steps,
            workers=arguments.workers,
            cohorts=arguments.workers,
            pairs=arguments.pairs,
            window=arguments.window,
            lengths=(1000, 1000),
            compiled=arguments.compiled,
            progress=lambda line: times.append(
                (line["particle_steps"], time.perf_counter(), time.process_time())
            ),
        )
    # The first outer step has the start of the processes and the reading of the images in it.
    (before, wall, _), (after, wall_end, _) = times[0], times[-1]
    rate = (after - before) / (wall_end - wall)
    with ledger.Report(arguments) as report:
        table = report.table(
            "Particle-steps on the yardstick task",
            "processes",
            ("by the clock", "a second", "higher"),
            ("best outer step", "a CPU-second", "higher"),
        )
        cpu = None
        if arguments.workers == 1:
            cpu = f"{max((b[0] - a[0]) / (b[2] - a[2]) for a, b in pairwise(times)):,.0f}"
        table.row(arguments.workers, f"{rate:,.0f}", cpu)


if __name__ == "__main__":
    main()
