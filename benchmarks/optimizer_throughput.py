"""Particle-steps a second of evolution strategies on the yardstick task.

    python benchmarks/optimizer_throughput.py --workers 2

The yardstick is a perceptron 64-32-10 on 8x8 images with batches of 64 and the small optimizer
with 4 hidden units; a particle-step is one step of one network: its gradient, its optimizer with
a theta of its own, its share of the outer loss. One process of one thread for each worker.
Printed are wall-clock rates, and, since a machine may be shared, those for a second of CPU time.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import torch

from nascence.optim import Small, meta_train
from nascence.optim.families import Yardstick


def cpu_seconds() -> float:
    own, ended = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--window", type=int, default=50)
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    times: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        begun = cpu_seconds()
        result = meta_train(
            Small(4),
            [Yardstick()],
            out=Path(folder),
            steps=arguments.steps,
            workers=arguments.workers,
            cohorts=arguments.workers,
            pairs=arguments.pairs,
            window=arguments.window,
            lengths=(1000, 1000),
            progress=lambda line: times.append((time.perf_counter(), line["particle_steps"])),
        )
        used = cpu_seconds() - begun
    # The first outer step has the start of the processes and the reading of the images in it.
    (first, before), (last, after) = times[0], times[-1]
    rate = (after - before) / (last - first)
    print(f"{rate:,.0f} particle-steps a second with {arguments.workers} processes")
    print(f"{result.particle_steps / used:,.0f} for a second of CPU time, start included")


if __name__ == "__main__":
    main()
