"""What decides the score that `design` searches by: rank correlation with real accuracies.

    python -m benchmarks.metrics.codes_and_macs TABLE.csv [--networks 300]

TABLE.csv is NAS-Bench-201 with the columns arch, c10_test_200, c100_test_200 and in16_test_200.
Networks have width 16 and one cell a stage; the batch is 128 images of the bundled sample.
"""

import csv
import math
import time
from collections.abc import Sequence

import torch

from benchmarks import ledger
from nascence.data import load
from nascence.metrics import kendall_tau, naswot
from nascence.search import MetricEvaluator
from nascence.spaces import NB201


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("table")
    parser.add_argument("--networks", type=int, default=300)
    options = ledger.parse(parser, words)
    with open(options.table) as file:
        rows = list(csv.DictReader(file))
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))
    space = NB201(width=16, cells=1)
    batch = load("cifar10-sample").batch(128, generator=torch.Generator().manual_seed(0))
    codes = MetricEvaluator(space, naswot, batch)
    started, found = time.process_time(), []
    for index in order[: options.networks].tolist():
        architecture = space.parse(rows[index]["arch"])
        score = codes(architecture) / 128
        if math.isfinite(score):
            found.append((rows[index], score, math.log(space.macs(architecture))))
    seconds = (time.process_time() - started) / options.networks
    scores = torch.tensor([score for _, score, _ in found])
    macs = torch.tensor([macs for _, _, macs in found])
    with ledger.Report(options) as report:
        table = report.table(
            f"Kendall's tau with the accuracy after 200 epochs; {len(found)} networks with a finite"
            f" score, {seconds:.3f} CPU-seconds each",
            "accuracy on",
            ("codes per image", "", "higher"),
            ("ln(multiply-adds)", "", "higher"),
            ("their sum", "", "higher"),
        )
        for column in ("c10_test_200", "c100_test_200", "in16_test_200"):
            truth = torch.tensor([float(row[column]) for row, _, _ in found])
            taus = [kendall_tau(each, truth) for each in (scores, macs, scores + macs)]
            table.row(column, *(f"{tau:.3f}" for tau in taus))


if __name__ == "__main__":
    main()
