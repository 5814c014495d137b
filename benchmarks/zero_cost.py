"""How well scores without training rank NAS-Bench-201.

    python benchmarks/zero_cost.py score --data cifar10.parquet --out scores.jsonl
        --seeds 0 1 2 [--networks 1000] [--metrics snip synflow ...]
    python benchmarks/zero_cost.py table --table nb201.csv scores.jsonl [...]

``score`` appends to its file what it does not yet hold, every 50 networks, and so can be stopped
and started again. A cell is scored without its dead edges, once for each seed, and the value is
shared by all of the cells that then are the same: there are 4,930 among the 15,625. A seed
decides the images (64 of the training images) and the initial weights.
"""

import argparse
import csv
import json
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nascence import data
from nascence.metrics import metric, metric_names
from nascence.search import MetricEvaluator
from nascence.spaces import NB201, Architecture
from nascence.spaces.cell import EDGES, OPERATIONS

TRUTH = {"C10": "c10_test_200", "C100": "c100_test_200", "IN16": "in16_test_200"}
# Cells a stage with which a score is taken: one where that ranks like the five of the benchmark.
CELLS = {"channel_independence": 5, "l2_norm": 5, "meco": 5}
# Images; half as many for the scores whose gradients of the loss cost the most.
BATCH, SMALL_BATCH = 64, 32
SMALL = ("fisher", "gradient_norm", "grasp", "plain", "snip", "zen", "zico")


@cache
def computed(cell: Architecture) -> tuple[str, ...]:
    """What a cell computes: the terms of the sum that it gives, dead edges left out."""
    nodes: list[tuple[str, ...]] = [("x",)]
    for node in (1, 2, 3):
        terms: list[str] = []
        for (source, target), operation in zip(EDGES, cell, strict=True):
            if target != node or OPERATIONS[operation] == "none" or not nodes[source]:
                continue
            if OPERATIONS[operation] == "skip_connect":
                terms += nodes[source]
            else:
                terms.append(f"{operation}({'+'.join(nodes[source])})")
        nodes.append(tuple(sorted(terms)))
    return nodes[3]


@cache
def representatives() -> dict[tuple[str, ...], Architecture]:
    """For each of the 4,930 sums the cell with the fewest operations that computes it."""
    found: dict[tuple[str, ...], Architecture] = {}
    for cell in sorted(NB201(), key=lambda cell: (-cell.count(0), cell)):
        found.setdefault(computed(cell), cell)
    return found


def read_truth(path: Path) -> tuple[list[Architecture], dict[str, NDArray]]:
    """All architectures of the published table, and their accuracies."""
    space = NB201()
    with path.open() as file:
        rows = list(csv.DictReader(file))
    truth = {name: np.array([float(row[key]) for row in rows]) for name, key in TRUTH.items()}
    return [space.parse(row["arch"]) for row in rows], truth


def drawn(space: NB201, networks: int | None) -> list[Architecture]:
    """All architectures, or a fixed random sample without repeats."""
    if networks is None:
        return list(space)
    generator = torch.Generator().manual_seed(2024)
    order = torch.randperm(space.size, generator=generator)[:networks]
    return [space.architecture(index) for index in order.tolist()]


def read_scores(paths: Iterable[Path]) -> dict[tuple[str, int, Architecture], float]:
    """(metric, seed, cell) to score."""
    known = {}
    for path in paths:
        if not path.exists():
            continue
        for line in path.read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # the line that was being written when it was stopped
                continue
            for name, value in row["scores"].items():
                known[name, row["seed"], tuple(row["cell"])] = float(value)
    return known


def score(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    known = read_scores([arguments.out])
    images = data.load(arguments.data)
    space = NB201()
    chosen = drawn(space, arguments.networks)
    cells = list(dict.fromkeys(representatives()[computed(cell)] for cell in chosen))
    start, lines = time.process_time(), []
    for seed in arguments.seeds:
        batch = images.batch(BATCH, generator=torch.Generator().manual_seed(seed))
        small = batch[0][:SMALL_BATCH], batch[1][:SMALL_BATCH]
        evaluators = {
            name: MetricEvaluator(
                NB201(cells=CELLS.get(name, 1)),
                metric(name),
                small if name in SMALL else batch,
                seeds=(seed,),
            )
            for name in arguments.metrics
        }
        for place, cell in enumerate(cells):
            missing = [name for name in evaluators if (name, seed, cell) not in known]
            if missing:
                scores = {name: evaluators[name](cell) for name in missing}
                lines.append(json.dumps({"cell": cell, "seed": seed, "scores": scores}) + "\n")
            if lines and (len(lines) >= 50 or place == len(cells) - 1):
                with arguments.out.open("a") as file:
                    file.writelines(lines)
                lines = []
                spent = time.process_time() - start
                print(f"seed {seed}: {place + 1} of {len(cells)}, {spent:.0f} CPU-s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    scoring = commands.add_parser("score", help="score networks, and go on where it stopped")
    scoring.add_argument("--data", type=Path, required=True, help="CIFAR-10, as data.load reads it")
    scoring.add_argument("--out", type=Path, required=True, help="file of scores")
    scoring.add_argument("--networks", type=int, help="random ones of the 15,625; default all")
    scoring.add_argument("--seeds", type=int, nargs="+", default=[0])
    scoring.add_argument("--metrics", nargs="+", choices=metric_names(), default=metric_names())
    arguments = parser.parse_args()
    score(arguments)


if __name__ == "__main__":
    main()
