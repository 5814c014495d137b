"""How well scores without training rank NAS-Bench-201.

    python benchmarks/zero_cost.py score --data cifar10.parquet --out scores.jsonl
        --seeds 0 1 2 [--networks 1000] [--metrics snip synflow ...]
    python benchmarks/zero_cost.py table --table nb201.csv scores.jsonl [...]
    python benchmarks/zero_cost.py top --table nb201.csv scores.jsonl [...]
    python benchmarks/zero_cost.py fit --table nb201.csv scores.jsonl [...]
    python benchmarks/zero_cost.py cost

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
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

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
from zero_cost_fit import predicted

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
    torch.set_num_threads(1)
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


def show(name: str, rows: list[list[list[float]]]) -> None:
    """Print a line: for each statistic the three data sets, the mean over ``rows`` (seeds)."""
    mean, deviation = np.mean(rows, axis=0), np.std(rows, axis=0)
    columns = ["/".join(f"{value:.3f}" for value in mean[:, place]) for place in range(4)]
    spread = f" (sd of tau {deviation[:, 0].max():.3f})" if len(rows) > 1 else ""
    print(f"| {name} | {' | '.join(columns)} |{spread}")


def twins(cells: list[Architecture], truth: dict[str, NDArray]) -> list[list[float]]:
    """How well one isomorphic twin's accuracy ranks as the other's: the bound that noise sets."""
    space = NB201()
    classes: dict[Architecture, list[int]] = {}
    for place, cell in enumerate(cells):
        classes.setdefault(space.canonical(cell), []).append(place)
    pairs = np.array([places[:2] for places in classes.values() if len(places) > 1])
    return [agreement(values[pairs[:, 1]], values[pairs[:, 0]]) for values in truth.values()]


def unfinished(
    cells: list[Architecture],
    truth: dict[str, NDArray],
    known: dict[tuple[str, int, Architecture], float],
) -> None:
    """Print how each unfinished score ranks the random networks that it has come to so far."""
    place, space, order = {cell: index for index, cell in enumerate(cells)}, NB201(), drawn()
    print("\nunfinished: the first of the random order, and live_macs on the same\n")
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
            show(f"{title}, {len(done):,} networks", rows)


def table(arguments: argparse.Namespace) -> None:
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
        print(f"\n{title}; C10/C100/IN16\n")
        print("| score | tau | rho | tau, best fifth | tau, best tenth |\n|-|-|-|-|-|")
        chosen = [representatives()[computed(cells[place])] for place in places]
        accuracies = [values[places] for values in truth.values()]
        for name, values in counted.items():
            show(name, [[agreement(values[places], accuracy) for accuracy in accuracies]])
        for name in names:
            rows = []
            for seed in sorted({seed for which, seed, _ in known if which == name}):
                if all((name, seed, cell) in known for cell in chosen):
                    scores = np.array([known[name, seed, cell] for cell in chosen])
                    rows.append([agreement(scores, accuracy) for accuracy in accuracies])
            if rows:
                show(f"{name}, {len(rows)} seeds" if len(rows) > 1 else name, rows)
    unfinished(cells, truth, known)
    print("\nisomorphic twins\n")
    show("the other twin's accuracy", [twins(cells, truth)])


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
    """Ridge regression on the ranks of all scores, fitted on CIFAR-10 accuracies of some."""
    cells, truth = read_truth(arguments.table)
    places, names, scores = complete(cells, read_scores(arguments.scores))
    print(
        f"fitted on the CIFAR-10 accuracies of some of 1,000 networks; scores: {', '.join(names)}"
    )
    print("| labelled | tau | rho | tau, best fifth | tau, best tenth |\n|-|-|-|-|-|")
    for labelled in arguments.labelled:
        rows = []
        for split in range(arguments.splits):
            order = np.random.default_rng(split).permutation(len(places))
            chosen, rest = order[:labelled], order[labelled:]
            guess = predicted(scores, chosen, truth["C10"][places[chosen]])[rest]
            rows.append([agreement(guess, values[places[rest]]) for values in truth.values()])
        show(f"{labelled}, the rest of {arguments.splits} splits", rows)


def cost(arguments: argparse.Namespace) -> None:
    """CPU seconds of each score for a cell with many convolutions, least of three."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    batch = (
        torch.randn(BATCH, 3, 32, 32, generator=generator),
        torch.randint(10, (BATCH,), generator=generator),
    )
    print("| score | CPU-s, 1 cell a stage | 5 cells |\n|-|-|-|")
    for name in arguments.metrics:
        columns = []
        for stage in (1, 5):
            model, seconds = NB201(cells=stage).build((3, 2, 3, 2, 4, 1)), []
            for _ in range(3):
                start = time.process_time()
                metric(name)(model, batch)
                seconds.append(time.process_time() - start)
            columns.append(f"{min(seconds):.3f}")
        print(f"| {name} | {' | '.join(columns)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    scoring = commands.add_parser("score", help="score networks, and go on where it stopped")
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
    tables = commands.add_parser("table", help="how well the scores rank")
    tables.add_argument("scores", type=Path, nargs="*", help="files that score wrote")
    tables.add_argument("--table", type=Path, required=True, help="nb201.csv")
    fits = commands.add_parser("fit", help="a model fitted on accuracies")
    fits.add_argument("scores", type=Path, nargs="+", help="files that score wrote")
    fits.add_argument("--table", type=Path, required=True, help="nb201.csv")
    fits.add_argument("--labelled", type=int, nargs="+", default=[100, 300])
    fits.add_argument("--splits", type=int, default=10, help="random choices of the labelled")
    costs = commands.add_parser("cost", help="CPU seconds of each score")
    costs.add_argument("--metrics", nargs="+", choices=metric_names(), default=metric_names())
    arguments = parser.parse_args()
    {"score": score, "table": table, "fit": fit, "cost": cost}[arguments.command](arguments)


if __name__ == "__main__":
    main()
