"""How well scores without training rank NAS-Bench-201.

    python -m benchmarks.metrics.zero_cost score --data cifar10.parquet --out scores.jsonl
        --seeds 0 1 2 [--networks 1000] [--metrics snip synflow ...]
    python -m benchmarks.metrics.zero_cost table --table nb201.csv scores.jsonl [...]
    python -m benchmarks.metrics.zero_cost top --table nb201.csv scores.jsonl [...]
    python -m benchmarks.metrics.zero_cost fit --table nb201.csv scores.jsonl [...]
    python -m benchmarks.metrics.zero_cost cost

``score`` appends to its file what it does not yet hold, every 50 networks, and so can be stopped
and started again. A cell is scored without its dead edges, once for each seed, and the value is
shared by all of the cells that then are the same: there are 4,930 among the 15,625. A seed
decides the images (64 of the training images) and the initial weights. ``fit`` is no score
without training: it shows a model that is fitted on the scores and accuracies of some networks.
"""

import argparse
import csv
import json
import time
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks import ledger
from benchmarks.metrics.zero_cost_fit import predicted
from nascence import data
from nascence.core.randomness import derived_seed
from nascence.metrics import (
    Batch,
    kendall_tau,
    metric,
    metric_names,
    saliencies,
    spearman,
    top_kendall_tau,
)
from nascence.spaces import NB201, Architecture
from nascence.spaces.cell import EDGES, OPERATIONS

TRUTH = {"C10": "c10_test_200", "C100": "c100_test_200", "IN16": "in16_test_200"}
# Cells a stage with which a score is taken: one where that ranks like the five of the benchmark.
CELLS = dict.fromkeys(("channel_independence", "l2_norm", "meco"), 5)
# With one cell the gradients of the loss hardly rank, and grasp ranks the wrong way round.
CELLS |= dict.fromkeys(("fisher", "gradient_norm", "grasp", "plain", "snip"), 5)
# Images; half as many for the scores whose gradients of the loss cost the most.
BATCH, SMALL_BATCH = 64, 32
TOGETHER = ("gradient_norm", "plain", "snip")  # of one pass
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


def drawn(networks: int | None = None) -> list[Architecture]:
    """Return architectures in a fixed random order without repeats: the first, or all."""
    space = NB201()
    order = torch.randperm(space.size, generator=torch.Generator().manual_seed(2024))
    return [space.architecture(index) for index in order[:networks].tolist()]


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


def score_cell(
    cell: Architecture, seed: int, batch: Batch, names: Iterable[str]
) -> dict[str, float]:
    """Scores of one cell: what MetricEvaluator gives, with each network built once."""
    small = batch[0][:SMALL_BATCH], batch[1][:SMALL_BATCH]
    networks: dict[int, nn.Module] = {}
    found: dict[str, float] = {}
    for wanted in names:
        name, _, given = wanted.partition(":")
        cells = int(given) if given else CELLS.get(name, 1)
        if cells not in networks:
            torch.manual_seed(derived_seed(seed, *cell, derivation="search"))
            networks[cells] = NB201(cells=cells).build(cell)
        if name in TOGETHER and wanted not in found:
            together = saliencies(networks[cells], small)
            for other in TOGETHER:
                if (key := wanted.replace(name, other)) in names:
                    found[key] = together[other]
        elif wanted not in found:
            found[wanted] = metric(name)(networks[cells], small if name in SMALL else batch)
    return found


def score(arguments: argparse.Namespace) -> None:
    """Score networks; stopped and started again, it goes on."""
    known = read_scores([arguments.out])
    images = data.load(arguments.data)
    chosen = drawn(arguments.networks)
    cells = list(dict.fromkeys(representatives()[computed(cell)] for cell in chosen))
    start, lines = time.process_time(), []
    for seed in arguments.seeds:
        batch = images.batch(BATCH, generator=torch.Generator().manual_seed(seed))
        for place, cell in enumerate(cells):
            missing = [name for name in arguments.metrics if (name, seed, cell) not in known]
            if missing:
                scores = score_cell(cell, seed, batch, missing)
                lines.append(json.dumps({"cell": cell, "seed": seed, "scores": scores}) + "\n")
            if lines and (len(lines) >= arguments.every or place == len(cells) - 1):
                with arguments.out.open("a") as file:
                    file.writelines(lines)
                lines = []
                spent = time.process_time() - start
                print(f"seed {seed}: {place + 1} of {len(cells)}, {spent:.0f} CPU-s", flush=True)


def populations(cells: list[Architecture]) -> dict[str, list[int]]:
    """Positions of all cells, of one for each published isomorphism class, and of a sample."""
    space = NB201()
    first: dict[Architecture, int] = {}
    for place, cell in enumerate(cells):
        first.setdefault(space.canonical(cell), place)
    sample = set(drawn(1000))
    return {
        f"all {len(cells):,}": list(range(len(cells))),
        f"{len(first):,} unique": list(first.values()),
        "1,000 random": [place for place, cell in enumerate(cells) if cell in sample],
    }


def agreement(scores: NDArray, truth: NDArray) -> list[float]:
    """Kendall's tau, Spearman's rho, and tau within the true best fifth and tenth."""
    return [
        kendall_tau(scores, truth),
        spearman(scores, truth),
        top_kendall_tau(scores, truth, fraction=0.2),
        top_kendall_tau(scores, truth, fraction=0.1),
    ]


def ranking_table(report: ledger.Report, title: str) -> ledger.Table:
    """A table of how scores rank, for :func:`show`."""
    names = ("tau", "rho", "tau in the best fifth", "tau in the best tenth")
    sets = "CIFAR-10/CIFAR-100/ImageNet16-120"
    columns = [(name, sets, "higher") for name in names]
    return report.table(title, "score", *columns, "sd of tau over seeds")


def show(table: ledger.Table, name: str, rows: list[list[list[float]]]) -> None:
    """Add a row: for each statistic the three data sets, the mean over ``rows`` (seeds)."""
    mean, deviation = np.mean(rows, axis=0), np.std(rows, axis=0)
    columns = ["/".join(f"{value:.3f}" for value in mean[:, place]) for place in range(4)]
    table.row(name, *columns, f"{deviation[:, 0].max():.3f}" if len(rows) > 1 else None)


def twins(cells: list[Architecture], truth: dict[str, NDArray]) -> list[list[float]]:
    """How well one isomorphic twin's accuracy ranks as the other's: the bound that noise sets."""
    space = NB201()
    classes: dict[Architecture, list[int]] = {}
    for place, cell in enumerate(cells):
        classes.setdefault(space.canonical(cell), []).append(place)
    pairs = np.array([places[:2] for places in classes.values() if len(places) > 1])
    return [agreement(values[pairs[:, 1]], values[pairs[:, 0]]) for values in truth.values()]


def unfinished(
    report: ledger.Report,
    cells: list[Architecture],
    truth: dict[str, NDArray],
    known: dict[tuple[str, int, Architecture], float],
) -> None:
    """Show how each unfinished score ranks the random networks that it has come to so far."""
    place, space, order = {cell: index for index, cell in enumerate(cells)}, NB201(), drawn()
    table = ranking_table(report, "Unfinished: the first networks of the random order")
    for name, seed in sorted({(name, seed) for name, seed, _ in known}):
        scored = [(name, seed, representatives()[computed(cell)]) in known for cell in order]
        done = order[: scored.index(False)] if False in scored else []
        if len(done) < 30 or 1000 <= len(done) < 1100:  # those of 1,000 are in the table above
            continue
        accuracies = [values[[place[cell] for cell in done]] for values in truth.values()]
        scores = np.array([known[name, seed, representatives()[computed(cell)]] for cell in done])
        live = np.array([space.macs(cell) for cell in done], dtype=float)
        for title, values in ((f"{name}, seed {seed}", scores), ("live_macs", live)):
            rows = [[agreement(values, accuracy) for accuracy in accuracies]]
            show(table, f"{title}, {len(done):,} networks", rows)


def table(arguments: argparse.Namespace) -> None:
    """Print how well the scores rank."""
    with ledger.Report(arguments) as report:
        rank(report, arguments)


def rank(report: ledger.Report, arguments: argparse.Namespace) -> None:
    """Tables of all populations."""
    cells, truth = read_truth(arguments.table)
    known = read_scores(arguments.scores)
    space, whole = NB201(), NB201(prune=False)
    counted = {
        "macs": np.array([whole.macs(cell) for cell in cells], dtype=float),
        "parameters": np.array([whole.parameters(cell) for cell in cells], dtype=float),
        "live_macs": np.array([space.macs(cell) for cell in cells], dtype=float),
    }
    names = sorted({name for name, _, _ in known} - counted.keys())
    for title, places in populations(cells).items():
        ranked = ranking_table(report, title)
        chosen = [representatives()[computed(cells[place])] for place in places]
        accuracies = [values[places] for values in truth.values()]
        for name, values in counted.items():
            show(ranked, name, [[agreement(values[places], accuracy) for accuracy in accuracies]])
        for name in names:
            rows = []
            for seed in sorted({seed for which, seed, _ in known if which == name}):
                if all((name, seed, cell) in known for cell in chosen):
                    scores = np.array([known[name, seed, cell] for cell in chosen])
                    rows.append([agreement(scores, accuracy) for accuracy in accuracies])
            if rows:
                show(ranked, f"{name}, {len(rows)} seeds" if len(rows) > 1 else name, rows)
    unfinished(report, cells, truth, known)
    bound = ranking_table(report, "Isomorphic twins: the bound that noise sets")
    show(bound, "the other twin's accuracy", [twins(cells, truth)])


def complete(
    cells: list[Architecture], known: dict[tuple[str, int, Architecture], float]
) -> tuple[NDArray, list[str], NDArray]:
    """Places of the 1,000 random networks, and the scores of seed 0 that all of them have."""
    place = {cell: index for index, cell in enumerate(cells)}
    sample = drawn(1000)
    chosen = [representatives()[computed(cell)] for cell in sample]
    names = sorted({name for name, seed, _ in known if seed == 0})
    names = [name for name in names if all((name, 0, cell) in known for cell in chosen)]
    scores = np.array([[known[name, 0, cell] for name in names] for cell in chosen])
    return np.array([place[cell] for cell in sample]), names, scores


def fit(arguments: argparse.Namespace) -> None:
    """Fit ridge regression on the ranks of all scores to the CIFAR-10 accuracies of some."""
    cells, truth = read_truth(arguments.table)
    places, names, scores = complete(cells, read_scores(arguments.scores))
    with ledger.Report(arguments) as report:
        table = ranking_table(report, f"Fitted on the accuracies of some; {', '.join(names)}")
        for labelled in arguments.labelled:
            rows = []
            for split in range(arguments.splits):
                order = np.random.default_rng(split).permutation(len(places))
                chosen, rest = order[:labelled], order[labelled:]
                guess = predicted(scores, chosen, truth["C10"][places[chosen]])[rest]
                rows.append([agreement(guess, values[places[rest]]) for values in truth.values()])
            show(table, f"{labelled}, the rest of {arguments.splits} splits", rows)


def cost(arguments: argparse.Namespace) -> None:
    """Time each score on a cell with many convolutions: least of three, CPU-seconds."""
    generator = torch.Generator().manual_seed(0)
    batch = (
        torch.randn(BATCH, 3, 32, 32, generator=generator),
        torch.randint(10, (BATCH,), generator=generator),
    )
    models = {stage: NB201(cells=stage).build((3, 2, 3, 2, 4, 1)) for stage in (1, 5)}
    with ledger.Report(arguments) as report:
        columns = [(f"{stage} cells a stage", "CPU-s", "lower") for stage in models]
        table = report.table("Cost of each score", "score", *columns)
        for name in arguments.metrics:
            runs = {str(stage): partial(metric(name), m, batch) for stage, m in models.items()}
            times = ledger.in_turns(runs, 3, warm_up=0)
            table.row(name, *(f"{min(taken):.3f}" for taken in times.values()))


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    runs = {"score": score, "table": table, "fit": fit, "cost": cost}
    scoring, tables, fits, costs = ledger.commands(parser, runs).values()
    scoring.add_argument("--data", type=Path, required=True, help="CIFAR-10, as data.load reads it")
    scoring.add_argument("--out", type=Path, required=True, help="file of scores")
    scoring.add_argument("--networks", type=int, help="random ones of the 15,625; default all")
    scoring.add_argument("--seeds", type=int, nargs="+", default=[0])
    scoring.add_argument("--every", type=int, default=50, help="networks between two writes")
    scoring.add_argument(
        "--metrics",
        nargs="+",
        default=metric_names(),
        help="names; a number of cells a stage may follow, as in naswot:5",
    )
    tables.add_argument("scores", type=Path, nargs="*", help="files that score wrote")
    tables.add_argument("--table", type=Path, required=True, help="nb201.csv")
    fits.add_argument("scores", type=Path, nargs="+", help="files that score wrote")
    fits.add_argument("--table", type=Path, required=True, help="nb201.csv")
    fits.add_argument("--labelled", type=int, nargs="+", default=[100, 300])
    fits.add_argument("--splits", type=int, default=10, help="random choices of the labelled")
    costs.add_argument("--metrics", nargs="+", choices=metric_names(), default=metric_names())
    arguments = ledger.parse(parser, words)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
