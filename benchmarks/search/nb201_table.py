"""Searching NAS-Bench-201 by 12-epoch validation accuracy: 200-epoch test accuracy of the choice.

    python -m benchmarks.search.nb201_table [--repeats 200] [--only NAME]

Prints mean and standard deviation over the repeats after 100 and 500 queries, beside the figures
that were computed from the same table by other code.
"""

import time
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import torch

from benchmarks import ledger
from nascence.data import nb201
from nascence.search import Evolution, LocalSearch, RandomSearch, Strategy
from nascence.spaces import NB201

DATA = ("cifar10", "cifar100", "imagenet16-120")
QUERIES = (100, 500)
STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "random": lambda space, **rest: RandomSearch(space, distinct="architectures", **rest),
    "REA(10,3)": lambda space, **rest: Evolution(space, distinct="nothing", **rest),
    "REA(30,10)": lambda space, **rest: Evolution(
        space, population=30, sample=10, distinct="nothing", **rest
    ),
    "local search": lambda space, **rest: LocalSearch(
        space, shuffle=False, distinct="architectures", **rest
    ),
    "local search, shuffled": lambda space, **rest: LocalSearch(
        space, distinct="architectures", **rest
    ),
    "REA(10,3), no function twice": Evolution,
    "local search, no function twice": LocalSearch,
}
REFERENCE = {  # mean after 100 and 500 queries on each of DATA; sd where it is known
    "random": [(93.74, 94.01), (71.26, 72.16), (44.81, 45.74)],
    "REA(10,3)": [(93.94, 94.30), (72.08, 72.72), (45.54, 46.32)],
    "REA(30,10)": [(94.11, 94.28), (72.37, 72.57), (45.80, 46.35)],
    "local search": [(94.03, 94.36), (71.73, 72.52), (45.48, 46.35)],
}


def chosen(make: Callable[..., Strategy], scores: np.ndarray, seed: int) -> list[int]:
    """Rows of the architectures with the best score after each number of queries."""
    space = NB201()
    strategy = make(space, generator=torch.Generator().manual_seed(seed))
    best, found = (float("-inf"), -1), []
    for query in range(1, QUERIES[-1] + 1):
        architecture = strategy.ask()
        row = space.index(architecture)
        strategy.tell(architecture, float(scores[row]))
        best = max(best, (scores[row], row), key=lambda pair: pair[0])
        if query in QUERIES:
            found.append(best[1])
    return found


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--only", choices=STRATEGIES)
    options = ledger.parse(parser, words)
    table = nb201()
    names = [options.only] if options.only else STRATEGIES
    queries = [
        (f"after {query} queries", "%, mean ± sd (standard error); reference", "higher")
        for query in QUERIES
    ]
    with ledger.Report(options) as report:
        cost = (f"{options.repeats} searches", "CPU-s", "lower")
        shown = report.table("Accuracy of the choice", "strategy", "data", *queries, cost)
        for name, (place, data) in product(names, enumerate(DATA)):
            scores, truth = table.accuracies(data, "validation-12"), table.accuracies(data)
            started = time.process_time()
            rows = [chosen(STRATEGIES[name], scores, seed) for seed in range(options.repeats)]
            seconds = time.process_time() - started
            cells = []
            for column, accuracies in enumerate(truth[np.array(rows)].T):
                spread = accuracies.std(ddof=1)
                error = spread / np.sqrt(len(accuracies))
                cell = f"{accuracies.mean():.2f} ± {spread:.2f} (error {error:.3f})"
                if name in REFERENCE:
                    cell += f"; {REFERENCE[name][place][column]:.2f}"
                cells.append(cell)
            shown.row(name, data, *cells, f"{seconds:.0f}")


if __name__ == "__main__":
    main()
