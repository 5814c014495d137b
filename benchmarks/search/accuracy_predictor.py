"""Which model predicts accuracies from architectures, on three tables.

    python -m benchmarks.search.accuracy_predictor [--repeats 3] [--only-published]

Fitted on 50 to 1,000 random networks, measured on 3,000 others: Kendall's tau-b with the true
accuracy, tau among the truly best fifth, and what the best of the ten highest predictions lacks to
the best of the 3,000. Last, the split of Accel-NASBench's authors: 80 % to fit, 10 % to test.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import ledger
from nascence.data import Table, accel_nasbench, nasbench_macro, nb201
from nascence.metrics import kendall_tau, top_kendall_tau
from nascence.search import AccuracyPredictor
from nascence.search.codes import coder
from nascence.search.kernel_ridge import leave_one_out_errors
from nascence.search.table_space import table_space
from nascence.spaces import NB201, Architecture, SearchSpace

TABLES: dict[str, Callable[[], Table]] = {
    "NAS-Bench-201": nb201,
    "NAS-Bench-Macro": nasbench_macro,
    "Accel-NASBench": accel_nasbench,
}
COUNTS = (50, 100, 200, 500, 1000)
TESTED = 3000
ModelName = Literal["kernel", "mlp"]
TargetsName = Literal["ranks", "standardised"]
Predict = Callable[[list[Architecture]], NDArray]


def kernel_or_mlp(
    space: SearchSpace,
    known: list[Architecture],
    values: NDArray,
    *,
    model: ModelName,
    targets: TargetsName,
) -> Predict:
    generator = torch.Generator().manual_seed(0)
    predictor = AccuracyPredictor.fit(
        space, known, values, generator=generator, model=model, targets=targets
    )
    return lambda architectures: predictor.predict(architectures).numpy()


def ridge(
    space: SearchSpace, known: list[Architecture], values: NDArray, *, pairs: bool
) -> Predict:
    """Ridge regression of ranks on one-hot codes, and on the products of every two of them."""
    codes = coder(space)

    def points(architectures: list[Architecture]) -> NDArray:
        return codes([space.canonical(each) for each in architectures])

    def kernel(a: NDArray, b: NDArray) -> NDArray:
        shared = a @ b.T / len(space.decisions)
        return shared + shared**2 if pairs else shared

    fitted, ranks = points(known), values.argsort().argsort() / len(values)
    gram, centred = kernel(fitted, fitted), ranks - ranks.mean()
    penalty, _ = min(leave_one_out_errors(gram, centred), key=lambda pair: pair[1])
    weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), centred)
    return lambda architectures: kernel(points(architectures), fitted) @ weights


MODELS: dict[str, Callable[..., Predict]] = {
    "ridge, ranks": partial(ridge, pairs=False),
    "ridge with products of two, ranks": partial(ridge, pairs=True),
    "kernel, ranks (the default)": partial(kernel_or_mlp, model="kernel", targets="ranks"),
    "kernel, standardised": partial(kernel_or_mlp, model="kernel", targets="standardised"),
    "mlp, ranks": partial(kernel_or_mlp, model="mlp", targets="ranks"),
    "mlp, standardised": partial(kernel_or_mlp, model="mlp", targets="standardised"),
}


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only-published", action="store_true", help="the last part alone")
    options = ledger.parse(parser, words)
    with ledger.Report(options) as report:
        for name, make in ({} if options.only_published else TABLES).items():
            on_table(report, name, make(), options.repeats)
        as_published(report, table_space(accel_nasbench()))


def on_table(report: ledger.Report, name: str, source: Table, repeats: int) -> None:
    """Every model on one table."""
    space = NB201() if name == "NAS-Bench-201" else table_space(source)
    listed = [tuple(each) for each in source.architectures().tolist()]
    truth = source.accuracies()
    fitted = [
        (f"fitted on {count:,}", "tau / tau in the best fifth / lack", "") for count in COUNTS
    ]
    costs = [(f"fit of {count:,}", "CPU-s", "lower") for count in (100, 1000)]
    table = report.table(name, "model", *fitted, *costs)
    for model, fit in MODELS.items():
        cells, seconds = [], []
        for count in COUNTS:
            found, spent = measured(space, listed, truth, fit, count, repeats)
            cells.append(" / ".join(f"{value:.3f}" for value in found))
            seconds.append(spent)
        table.row(model, *cells, f"{seconds[1]:.2f}", f"{seconds[-1]:.2f}")
    others = [split(len(truth), 0, seed)[1] for seed in range(5)]
    flops = [kendall_tau(source.column("flops")[rows], truth[rows]) for rows in others]
    table.row("multiply-adds", f"tau {np.mean(flops):.3f}", *[None] * (len(COUNTS) + 1))


def split(total: int, count: int, seed: int) -> tuple[NDArray, NDArray]:
    rows = np.random.default_rng(seed).permutation(total)
    return rows[:count], rows[count : count + TESTED]


def measured(
    space: SearchSpace,
    listed: list[Architecture],
    truth: NDArray,
    fit: Callable[..., Predict],
    count: int,
    repeats: int,
) -> tuple[NDArray, float]:
    """Mean of the three figures over the repeats, and CPU-seconds of a fit."""
    found, seconds = [], 0.0
    for seed in range(repeats):
        known, others = split(len(truth), count, seed)
        started = time.process_time()
        predict = fit(space, [listed[row] for row in known], truth[known])
        seconds += time.process_time() - started
        predicted, true = predict([listed[row] for row in others]), truth[others]
        top = true[np.argsort(-predicted, kind="stable")[:10]].max()
        tau = kendall_tau(predicted, true)
        found.append((tau, top_kendall_tau(predicted, true, fraction=0.2), true.max() - top))
    return np.mean(found, axis=0), seconds / repeats


def as_published(report: ledger.Report, space: SearchSpace) -> None:
    """The split of Accel-NASBench's authors."""
    table = accel_nasbench()
    listed = [tuple(each) for each in table.architectures().tolist()]
    truth = table.accuracies()
    title = "Accel-NASBench, 80 % to fit and 10 % to test"
    table_of_taus = report.table(title, "model", ("tau of three splits", "", "higher"))
    for name in ("kernel, standardised", "kernel, ranks (the default)", "mlp, standardised"):
        taus = []
        for seed in range(3):
            rows = np.random.default_rng(seed).permutation(len(listed))
            known, others = rows[: int(0.8 * len(rows))], rows[int(0.9 * len(rows)) :]
            predict = MODELS[name](space, [listed[row] for row in known], truth[known])
            taus.append(kendall_tau(predict([listed[row] for row in others]), truth[others]))
        table_of_taus.row(name, ", ".join(f"{tau:.3f}" for tau in taus))


if __name__ == "__main__":
    main()
