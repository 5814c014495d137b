"""Searching tables of mobile networks under a limit of latency, multiply-adds or parameters.

    python -m benchmarks.search.mobile_tables RESULTS.jsonl [--repeats 100] [--only STRATEGY]
        [--table TABLE]

Accel-NASBench: ImageNet accuracy under limits of latency. NAS-Bench-Macro, which has no latency:
the search sees the CIFAR-10 accuracy of one seed, and the figure is the mean of three. Limits are
quantiles of the cost over the table. Every finished part is a line of RESULTS.jsonl and is not
done again; a search ends early at the best allowed score, which nothing can replace.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benchmarks import ledger
from nascence.data import Table, accel_nasbench, nasbench_macro
from nascence.jobs.names import cost_named
from nascence.search import (
    CrossoverEvolution,
    Evolution,
    LaMCTS,
    LaNAS,
    Limit,
    Limits,
    ListedSpace,
    LocalSearch,
    PredictorSearch,
    RandomSearch,
    Reinforce,
    Strategy,
)
from nascence.search.table_space import table_space
from nascence.spaces import Architecture

QUERIES = (50, 100, 200, 500)
TABLES: dict[str, tuple[Callable[[], Table], tuple[str, ...], tuple[str, str]]] = {
    "Accel-NASBench": (
        accel_nasbench,
        ("latency/zcu102", "latency/vck190"),
        ("imagenet/proxy-top1", "imagenet/proxy-top1"),
    ),
    "NAS-Bench-Macro": (
        nasbench_macro,
        ("macs", "parameters"),
        ("cifar10/test-0", "cifar10/test"),
    ),
}
QUANTILES = (0.25, 0.5)
STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "predictor": PredictorSearch,
    "predictor, by evolution": partial(PredictorSearch, most_listed=0),
    "reinforce": Reinforce,
    "reinforce, drawn again": partial(Reinforce, most_listed=0),
    "evolution": Evolution,
    "crossover": CrossoverEvolution,
    "local-search": LocalSearch,
    "lanas": LaNAS,
    "la-mcts": LaMCTS,
    "random": RandomSearch,
}
APART = ("predictor, by evolution", "reinforce, drawn again", "la-mcts")
"""Slower, run if asked for. The first two are what happens in spaces too large to list."""


class Problem:
    """A table, what is seen of it, and a limit; no limit where the quantile is 1."""

    def __init__(self, name: str, cost: str, quantile: float) -> None:
        make, _, (seen, true) = TABLES[name]
        self.table = make()
        self.space = table_space(self.table)
        self.scores, self.truth = self.table.column(seen), self.table.column(true)
        costs = self.table.column({"macs": "flops"}.get(cost, cost))
        self.most = float(np.quantile(costs, quantile))
        value = cost_named(cost, self.space, self.table)
        self.limits = Limits(Limit(cost, value, self.most)) if quantile < 1 else None
        self.allowed = np.flatnonzero(costs <= self.most)
        self.best_score = float(self.scores[self.allowed].max())

    def searched(self, make: Callable[..., Strategy], seed: int) -> tuple[list[float], list[bool]]:
        """True accuracy of the choice, and whether its score is the best, by queries."""
        generator = torch.Generator().manual_seed(seed)
        strategy = make(self.space, generator=generator, allowed=self.limits)
        best, choice, found = -1.0, -1, []
        for query in range(1, QUERIES[-1] + 1):
            if best < self.best_score:
                architecture = strategy.ask()
                row = self.table.row(architecture)
                score = float(self.scores[row])
                strategy.tell(architecture, score)
                if score > best:
                    best, choice = score, row
            if query in QUERIES:
                found.append((float(self.truth[choice]), best == self.best_score))
        return [accuracy for accuracy, _ in found], [at_best for _, at_best in found]


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--only", choices=STRATEGIES)
    parser.add_argument("--table", choices=TABLES)
    options = ledger.parse(parser, words)
    names = [options.only] if options.only else [name for name in STRATEGIES if name not in APART]
    done = {row.pop("key"): row for row in ledger.read_rows(options.results)}
    with ledger.Report(options) as report:
        for table, (_, costs, _) in TABLES.items():
            if options.table not in (None, table):
                continue
            distances(table)
            limits = [(cost, quantile) for cost in costs for quantile in QUANTILES]
            for cost, quantile in [*limits, (costs[0], 1.0)]:
                problem = Problem(table, cost, quantile)
                shown = table_of(report, table, cost, quantile, problem)
                for name in names:
                    key = f"{table} {cost} {quantile} {name} {options.repeats}"
                    if key not in done:
                        done[key] = measured(problem, STRATEGIES[name], options.repeats)
                        ledger.keep_row(options.results, {"key": key, **done[key]})
                    row(shown, name, done[key])


def distances(name: str) -> None:
    """How far the neighbours of a listed space are, in decisions."""
    space = table_space(TABLES[name][0]())
    if isinstance(space, ListedSpace):
        generator = torch.Generator().manual_seed(0)
        drawn = [space.sample(generator=generator) for _ in range(1001)]
        last = [apart(each, space.neighbours(each)[-1]) for each in drawn]
        pairs = [apart(first, second) for first, second in pairwise(drawn)]
        print(
            f"\n{name}: the last of the nearest {space.nearest} differs in {np.mean(last):.1f} of "
            f"{len(space.decisions)} decisions, two at random in {np.mean(pairs):.1f}"
        )


def apart(first: Architecture, second: Architecture) -> int:
    return sum(a != b for a, b in zip(first, second, strict=True))


def measured(problem: Problem, make: Callable[..., Strategy], repeats: int) -> dict:
    started = time.process_time()
    found = [problem.searched(make, seed) for seed in range(repeats)]
    return {
        "accuracy": [accuracies for accuracies, _ in found],
        "at_best": [at_best for _, at_best in found],
        "seconds": (time.process_time() - started) / repeats,
    }


def row(table: ledger.Table, name: str, result: dict) -> None:
    accuracies, at_best = np.array(result["accuracy"]), np.array(result["at_best"])
    cells = [
        f"{values.mean():.2f} ± {values.std(ddof=1):.2f} ({share:.0%})"
        for values, share in zip(accuracies.T, at_best.mean(axis=0), strict=True)
    ]
    table.row(name, *cells, f"{result['seconds']:.2f}")


def table_of(
    report: ledger.Report, name: str, cost: str, quantile: float, problem: Problem
) -> ledger.Table:
    allowed = problem.allowed
    of_score = problem.truth[allowed[problem.scores[allowed] == problem.best_score]]
    limited = f"{cost} <= {problem.most:,.10g} ({quantile:.0%} quantile, "
    return report.table(
        f"{name}, {limited if quantile < 1 else 'all ('}{len(allowed):,} networks): best "
        f"{problem.truth[allowed].max():.3f}, the best score's {of_score.mean():.3f}, mean "
        f"{problem.truth[allowed].mean():.2f}",
        "strategy",
        *((f"after {query} scores", "%, mean ± sd (best found)", "higher") for query in QUERIES),
        ("search", "CPU-s", "lower"),
    )


if __name__ == "__main__":
    main()
