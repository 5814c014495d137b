"""Gradient searches of NAS-Bench-201, one-shot against few-shot at equal cost, and random search.

    python -m benchmarks.gradient.strategies run --data cifar10-train.parquet --out gradient
    python -m benchmarks.gradient.strategies report --out gradient

Supernets of width 8 with one cell a stage search on CIFAR-10 at 16 pixels. Few-shot splits the
edge 0 to 1 into five parts, each of which is searched for a fifth of the steps; what counts is the
table's accuracy of the derived network after 200 epochs of training alone. Parts are compared by
the accuracy of their shared weights, and in a table of its own by a score without labels, beside
random networks that the same score compares. The steps of each
strategy are such that a run takes about ``--cost`` times 75 CPU-seconds. Random search trains
random networks alone for as long and takes the best by validation accuracy. One line of JSON a
run is kept in ``--out``, with what it takes to go on after an interruption; a finished run is not
done again.
"""

import argparse
import statistics
import time
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import torch

from benchmarks import ledger
from nascence import registry
from nascence.data import Dataset, load, nb201
from nascence.jobs.gradient import SCORE, SCORED, scaled_rate, true_accuracies
from nascence.metrics.names import metric
from nascence.search import MetricEvaluator, TrainingEvaluator
from nascence.spaces import NB201, Architecture
from nascence.supernets import SuperNet, split

GRADIENT_STRATEGIES = {
    name: registry.find(name, "gradient strategy").load()
    for name in registry.names("gradient strategy")
}

SPACE = NB201(width=8, cells=1)
EDGE = "edge_0_1"
# steps of about 75 CPU-seconds: 150, 150, 95, 55 and 60 ms each
STEPS = {"darts": 500, "pc-darts": 500, "snas": 800, "gdas": 1350, "enas": 1250}
NETWORKS, ALONE = 8, 250  # of random search: networks, and steps of each
PUBLISHED = {
    "darts": "54 to 87, 16 to 30",
    "pc-darts": "93 to 93.5, 39 to 43",
    "enas": "54 to 86, 14 to 26",
}
"""CIFAR-10 and ImageNet16-120, one-shot to few-shot, read from the figures of the paper."""


def search(
    strategy: str, kind: str, seed: int, data: Dataset, arguments: argparse.Namespace
) -> dict[str, Any]:
    """One gradient search: its result and trajectory."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        whole = SuperNet(SPACE)
    supernets = [whole] if kind == "one-shot" else split(whole, [EDGE])
    steps = max(5, round(STEPS[strategy] * arguments.cost))
    history = GRADIENT_STRATEGIES[strategy](
        supernets,
        data,
        generator=torch.Generator().manual_seed(seed),
        steps=steps,
        epochs=20 // len(supernets),
        learning_rate=0.1,
        crop=2,
        out=arguments.out / f"{strategy}-{kind}-{seed}-{steps}",
        **scaled_rate(strategy, steps // len(supernets)),
    )
    table = nb201()
    derived = history.derived
    return {
        "architecture": SPACE.format(derived.architecture),
        "validation": derived.accuracy,
        "entropy": derived.entropy,
        "true": true_accuracies(table, derived.architecture),
        "steps": history.steps,
        "seconds": round(history.seconds, 1),
        "trajectory": [
            [e.sub_supernet, e.steps, round(e.entropy, 3), round(e.accuracy, 3), round(e.loss, 3),
             true_accuracies(table, e.architecture)["cifar10"], SPACE.format(e.architecture)]
            for e in history.epochs
        ],
    }  # fmt: skip


def random_search(seed: int, data: Dataset, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train random networks alone; the best by validation accuracy."""
    generator = torch.Generator().manual_seed(seed)
    count = max(1, round(NETWORKS * arguments.cost))
    drawn = [SPACE.sample(generator=generator) for _ in range(count)]
    evaluate = TrainingEvaluator(SPACE, data, steps=ALONE, seed=seed, batch_size=64)
    started = time.perf_counter()
    scores = [evaluate(architecture) for architecture in drawn]
    best = drawn[max(range(count), key=scores.__getitem__)]
    return {
        "architecture": SPACE.format(best),
        "validation": max(scores),
        "true": true_accuracies(nb201(), best),
        "steps": count * ALONE,
        "seconds": round(time.perf_counter() - started, 1),
    }


def run(arguments: argparse.Namespace) -> None:
    """Do what ``--out`` lacks, all of one seed before the next."""
    data = ledger.cifar10(arguments.data, 16, cache=arguments.out)
    kept = arguments.out / "runs.jsonl"
    done = {(row["strategy"], row["kind"], row["seed"]) for row in ledger.read_rows(kept)}
    kinds = [(s, k) for s in arguments.strategies for k in ("one-shot", "few-shot")]
    for seed in arguments.seeds:
        for strategy, kind in [*kinds, ("random", "alone")]:
            if (strategy, kind, seed) in done:
                continue
            start = time.process_time()
            if strategy == "random":
                found = random_search(seed, data, arguments)
            else:
                found = search(strategy, kind, seed, data, arguments)
            found["cpu_seconds"] = round(time.process_time() - start, 1)
            row = {"strategy": strategy, "kind": kind, "seed": seed, **found}
            ledger.keep_row(kept, row)
            print(seed, strategy, kind, found["true"], found["cpu_seconds"], flush=True)


def report(arguments: argparse.Namespace) -> None:
    """Print a row for each kind of run, then the ends of the trajectories."""
    found: dict[tuple[str, str], list[dict]] = {}
    for row in ledger.read_rows(arguments.out / "runs.jsonl"):
        found.setdefault((row["strategy"], row["kind"]), []).append(row)
    sets = ("cifar10", "cifar100", "imagenet16-120")
    with ledger.Report(arguments) as report:
        accuracies = [(name, "%, mean ± sd", "higher") for name in (*sets, "validation")]
        after = ("search", "CPU-s", "lower"), "published"
        table = report.table("True accuracies", "strategy", "kind", "seeds", *accuracies, *after)
        for (strategy, kind), runs in found.items():
            means = [ledger.spread((row["true"][name] for row in runs), ".2f") for name in sets]
            means.append(ledger.spread(100 * row["validation"] for row in runs))
            cost = ledger.spread((row["cpu_seconds"] for row in runs), ".0f")
            published = PUBLISHED.get(strategy) if kind == "few-shot" else None
            table.row(strategy, kind, len(runs), *means, cost, published)
        mean = [f"{nb201().accuracies(name).mean():.2f}" for name in sets]
        table.row("one random network, mean of all", None, None, *mean, None, 0, None)
        by_score(report, found)
    for (strategy, kind), runs in found.items():
        for row in runs:
            last: dict[int, list[list[Any]]] = {}
            for point in row.get("trajectory", ()):
                last.setdefault(point[0], []).append(point)
            ends = [f"{points[-1][5]:.1f} ({points[-1][3]:.2f})" for points in last.values()]
            print(strategy, kind, row["seed"], row["architecture"], "leaves:", *ends)


def by_score(report: ledger.Report, found: dict[tuple[str, str], list[dict]]) -> None:
    """Compare the networks of the parts, those of all epochs, and random ones by a score."""
    batch = load("cifar10-sample", size=16).batch(SCORED, generator=torch.Generator())
    score = cache(MetricEvaluator(SPACE, metric(SCORE), batch))

    def best(architectures: Iterable[Architecture]) -> float:
        return true_accuracies(nb201(), max(architectures, key=score))["cifar10"]

    names = (f"last networks, by {SCORE}", "their mean", "all epochs, by the score")
    accuracies = [(name, "%, mean ± sd", "higher") for name in names]
    table = report.table("Parts compared by a score", "strategy", "kind", *accuracies)
    for (strategy, kind), runs in found.items():
        columns: dict[str, list[float]] = {"last": [], "mean": [], "all": []}
        for points in (run["trajectory"] for run in runs if "trajectory" in run):
            ends = list({point[0]: point for point in points}.values())
            columns["last"].append(best(SPACE.parse(end[6]) for end in ends))
            columns["mean"].append(statistics.mean(end[5] for end in ends))
            columns["all"].append(best(SPACE.parse(point[6]) for point in points))
        if columns["last"]:
            cells = (ledger.spread(values, ".2f") for values in columns.values())
            table.row(strategy, kind, *cells)
    for count in (1, 5, 20):
        draws = [torch.Generator().manual_seed(seed) for seed in range(30)]
        values = [best([SPACE.sample(generator=g) for _ in range(count)]) for g in draws]
        name = f"best of {count} random networks by the score, 30 draws"
        table.row(name, None, ledger.spread(values, ".2f"), None, None)


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    first, _ = ledger.run_and_report(parser, run, report)
    first.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    first.add_argument("--strategies", nargs="+", default=list(STEPS), choices=list(STEPS))
    first.add_argument("--cost", type=float, default=1.0, help="of a run, in 75 CPU-seconds")
    parsed = ledger.parse(parser, words)
    parsed.run(parsed)


if __name__ == "__main__":
    main()
