"""LaNAS and LA-MCTS against random search and evolution.

    python -m benchmarks.search.regions table [--repeats 200]
    python -m benchmarks.search.regions functions [--repeats 20]

`table`: NAS-Bench-201, 500 queries of the 12-epoch validation accuracy on CIFAR-10; how many
queries until its optimum is found, and the regret: the best 200-epoch test accuracy of all (94.37)
less that of the architecture with the best score so far. No architecture is proposed twice; a
search ends where it finds the optimum.
`functions`: the least value of Ackley and Levy in 20 dimensions found with 500 queries.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks import ledger
from nascence.data import nb201
from nascence.search import Box, Evolution, LaMCTS, LaNAS, RandomSearch, Strategy
from nascence.spaces import NB201

QUERIES = (50, 100, 150, 200, 300, 400, 500)
TABLE: dict[str, Callable[..., Strategy]] = {
    "random": RandomSearch,
    "evolution(10,3)": Evolution,
    "LaNAS": LaNAS,
    "LA-MCTS, poly": LaMCTS,
    "LA-MCTS, rbf": lambda space, **rest: LaMCTS(space, kernel="rbf", **rest),
}
FUNCTIONS: dict[str, Callable[..., Strategy]] = {
    "random": RandomSearch,
    "evolution(10,3)": Evolution,
    "LA-MCTS, poly": LaMCTS,
    "LA-MCTS, rbf": lambda space, **rest: LaMCTS(space, kernel="rbf", **rest),
}


def on_table(report: ledger.Report, repeats: int, names: list[str]) -> None:
    table, space = nb201(), NB201()
    scores, truth = table.accuracies("cifar10", "validation-12"), table.accuracies("cifar10")
    shown = report.table(
        "Searches of NAS-Bench-201",
        "strategy",
        ("optimum found", "% of searches", "higher"),
        ("queries to it", "median", "lower"),
        ("queries to it", "mean", "lower"),
        *((f"regret after {query}", "points, mean ± standard error", "lower") for query in QUERIES),
        ("search", "CPU-s", "lower"),
    )
    for name in names:
        started, hits, regrets = time.process_time(), [], []
        for seed in range(repeats):
            generator = torch.Generator().manual_seed(seed)
            strategy = TABLE[name](space, generator=generator, distinct="architectures")
            rows = []
            for _ in range(QUERIES[-1]):
                architecture = strategy.ask()
                rows.append(space.index(architecture))
                if scores[rows[-1]] == scores.max():
                    break  # the choice cannot change any more
                strategy.tell(architecture, float(scores[rows[-1]]))
            seen = scores[rows]
            hits.append(int(seen.argmax()) + 1 if seen.max() == scores.max() else np.inf)
            regrets.append([truth.max() - truth[rows[int(seen[:q].argmax())]] for q in QUERIES])
        seconds = (time.process_time() - started) / repeats
        found = np.isfinite(hits)
        median = np.median(hits)
        cells = [f"{found.mean():.0%}", f"{median:.0f}" if np.isfinite(median) else "> 500",
                 f"{np.mean(hits):.0f}" if found.all() else "-"]  # fmt: skip
        regret = np.array(regrets)
        errors = regret.std(axis=0, ddof=1) / repeats**0.5
        cells += [f"{m:.3f} ± {e:.3f}" for m, e in zip(regret.mean(axis=0), errors, strict=True)]
        shown.row(name, *cells, f"{seconds:.2f}")


def ackley(x: np.ndarray) -> float:
    return float(
        -20 * np.exp(-0.2 * np.sqrt((x * x).mean())) - np.exp(np.cos(2 * np.pi * x).mean())
        + 20 + np.e
    )  # fmt: skip


def levy(x: np.ndarray) -> float:
    w = 1 + (x - 1) / 4
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2)).sum()
    last = (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2)
    return float(np.sin(np.pi * w[0]) ** 2 + middle + last)


def on_functions(report: ledger.Report, repeats: int, names: list[str]) -> None:
    boxes = {
        "Ackley": (ackley, Box(-5, 10, dimensions=20)),
        "Levy": (levy, Box(-10, 10, dimensions=20)),
    }
    least = [
        (f"least value after {query}", "mean ± standard error", "lower") for query in (100, 500)
    ]
    cost = ("search", "CPU-s", "lower")
    shown = report.table("Functions of 20 dimensions", "function", "strategy", *least, cost)
    for function, (value_of, box) in boxes.items():
        for name in names:
            started, found = time.process_time(), []
            for seed in range(repeats):
                strategy = FUNCTIONS[name](box, generator=torch.Generator().manual_seed(seed))
                values = []
                for _ in range(500):
                    point = strategy.ask()
                    values.append(value_of(box.values(point)))
                    strategy.tell(point, -values[-1])
                found.append((min(values[:100]), min(values)))
            seconds = (time.process_time() - started) / repeats
            means, errors = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / repeats**0.5
            cells = [f"{m:.2f} ± {e:.2f}" for m, e in zip(means, errors, strict=True)]
            shown.row(function, name, *cells, f"{seconds:.2f}")


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("which", choices=("table", "functions"))
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--only", nargs="*")
    options = ledger.parse(parser, words)
    with ledger.Report(options) as report:
        if options.which == "table":
            on_table(report, options.repeats or 200, options.only or list(TABLE))
        else:
            on_functions(report, options.repeats or 20, options.only or list(FUNCTIONS))


if __name__ == "__main__":
    main()
