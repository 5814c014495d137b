"""Which search score of `design` picks the networks that train best, at equal cost and CPU time.

    python -m benchmarks.design.search_scores [--seconds 40] [--seeds 0 1 2] [--out FILE.jsonl]

The space that `design` searches (cells of NAS-Bench-201 of free width and depth, identity blocks)
on the bundled sample, limited to the training work of a residual cell of 7.4 M multiply-adds. Each
score has the same CPU time for its search, and what it picks is trained as `design` trains for the
same CPU time of one thread. Finished rows in --out are read, not repeated. Scores:

- codes: binary codes per image + ln(multiply-adds), what `design` uses;
- independence: channel_independence of the network itself;
- cell: the same of the cell alone, in a network of width 16 with one cell a stage, its live
  multiply-adds exchanged for those of the network itself.
"""

import contextlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks import ledger
from benchmarks.design.recipe_choices import stop_by_cpu_time
from nascence import training
from nascence.data import Batch, Dataset, load
from nascence.design import recipe
from nascence.design.families import cell_space
from nascence.metrics import channel_independence
from nascence.search import Evolution, MetricEvaluator, search
from nascence.spaces import NB201, Architecture

LARGEST = (
    "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    ";width=8;cells=1"
)
COLUMNS = (
    "score",
    "seed",
    "network",
    ("multiply-adds", "M", "lower"),
    "networks scored",
    ("accuracy", "%", "higher"),
    "steps",
)
Score = Callable[[Architecture], float]


def scores(space: NB201, cost: cell_space.Cost, batch: Batch, seed: int) -> dict[str, Score]:
    """The scores that are compared, by name."""
    cells = NB201(width=16, cells=1, conv=cell_space.BLOCKS["identity"])
    of_cell = MetricEvaluator(cells, channel_independence, batch, seeds=(seed,))
    side = max(batch[0].shape[2:])

    @cache
    def independence(cell: Architecture) -> float:
        return of_cell(cell) - math.log(max(cells.macs(cell, side=side), 1))

    def cell(architecture: Architecture) -> float:
        named = json.loads(space.to_json(architecture))
        inner = cells.from_json(json.dumps({name: named[name] for name, _ in cells.decisions}))
        return independence(inner) + math.log(max(cost.macs(architecture), 1))

    return {
        "codes": cell_space.Score(space, cost, batch, seed=seed),
        "independence": MetricEvaluator(space, channel_independence, batch, seeds=(seed,)),
        "cell": cell,
    }


class OutOfTime(Exception):
    """Ends a search."""


def pick(data: Dataset, name: str, seed: int, seconds: float) -> dict[str, Any]:
    """Search by one score for some CPU seconds: what it picks, and how many it scored."""
    space = cell_space.space_of("identity", classes=data.classes, in_channels=3)
    deployed = cell_space.deployed_space_of(classes=data.classes, in_channels=3)
    with tempfile.TemporaryDirectory() as folder:
        measured = Path(folder) / "latencies.json"
        cost = cell_space.Cost(
            deployed, block="identity", side=32, in_channels=3, measured=measured
        )
        limits = cost.limits(work=cost.work(space.parse(LARGEST)), parameters=None, latency_ms=None)
        batch = data.batch(128, generator=torch.Generator().manual_seed(1000 * seed + 1))
        score = scores(space, cost, batch, seed)[name]
        start, known = time.process_time(), {}

        def within_time(architecture: Architecture) -> float:
            if time.process_time() - start > seconds:
                raise OutOfTime
            known[architecture] = score(architecture)
            return known[architecture]

        generator = torch.Generator().manual_seed(1000 * seed + 2)
        with contextlib.suppress(OutOfTime):
            search(Evolution(space, generator=generator, allowed=limits), within_time, trials=5000)
        best = max(known, key=lambda architecture: known[architecture])
        return {
            "network": space.format(best),
            "scored": len(known),
            "macs": cost.macs(best),
        }


def train(data: Dataset, name: str, seed: int, seconds: float) -> dict[str, Any]:
    """Train a network of the space; accuracy on the validation images and number of steps."""
    space = cell_space.space_of("identity", classes=data.classes, in_channels=3)
    model = cell_space.build(space, space.parse(name), seed=seed)
    generator = torch.Generator().manual_seed(1000 * seed + 3)
    found = training.train(model, data, **recipe.designed(32), seconds=seconds, generator=generator)
    return {"accuracy": 100 * found.curve[-1].accuracy, "steps": found.steps}


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=40.0, help="CPU seconds of a training")
    parser.add_argument("--search", type=float, default=14.0, help="CPU seconds of a search")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--scores", nargs="+", default=["codes", "independence", "cell"])
    parser.add_argument("--out", type=Path, default=Path("runs/design-search.jsonl"))
    options = ledger.parse(parser, words)
    stop_by_cpu_time()
    data = load("cifar10-sample")
    rows = ledger.read_rows(options.out)
    done = {(row["score"], row["seed"], row["seconds"]): row for row in rows}
    with ledger.Report(options) as report:
        table = report.table("What each search picked", *COLUMNS)
        for seed in options.seeds:
            for name in options.scores:
                key = name, seed, options.seconds
                if key not in done:
                    row = pick(data, name, seed, options.search)
                    row |= train(data, row["network"], seed, options.seconds)
                    named = dict(zip(("score", "seed", "seconds"), key, strict=True))
                    done[key] = ledger.keep_row(options.out, named | row)
                row = done[key]
                macs, accuracy = f"{row['macs'] / 1e6:.2f}", f"{row['accuracy']:.1f}"
                table.row(
                    name, seed, f"`{row['network']}`", macs, row["scored"], accuracy, row["steps"]
                )
        means = report.table("All seeds", "score", ("accuracy", "%, mean ± sd", "higher"))
        for name in options.scores:
            found = (done[name, seed, options.seconds]["accuracy"] for seed in options.seeds)
            means.row(name, ledger.spread(found))


if __name__ == "__main__":
    main()
