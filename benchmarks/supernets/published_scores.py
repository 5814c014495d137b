"""Rank correlation of the few-shot authors' released supernet scores with real accuracies.

    python -m benchmarks.supernets.published_scores nb201.csv

The file has, beside the columns of NAS-Bench-201, `fs_oneshot_c10` and `fs_fewshot_c10`, the scores
of all 15,625 architectures that the authors of Zhao et al. (ICML 2021) released, and `fs_true_c10`,
the accuracy that they compare with.
"""

import csv
from collections.abc import Sequence

import numpy as np

from benchmarks import ledger
from nascence.data import nb201
from nascence.search import ranking_report, ranking_table
from nascence.spaces import NB201


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("table")
    options = ledger.parse(parser, words)
    with open(options.table, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {
        name: np.array([float(row[name]) for row in rows])
        for name in ("fs_oneshot_c10", "fs_fewshot_c10", "fs_true_c10", "c10_val_12")
    }
    space, table = NB201(), nb201()
    places = [space.index(space.parse(row["arch"])) for row in rows]
    sizes = {name: table.columns[name][places] for name in ("flops", "parameters")}
    scores = {
        "one-shot": columns["fs_oneshot_c10"],
        "few-shot, 5": columns["fs_fewshot_c10"],
        "12-epoch validation": columns["c10_val_12"],
    }
    first = sorted({int(row["iso_id"]) for row in rows})
    with ledger.Report(options) as report:
        whole = ranking_report(scores, columns["fs_true_c10"], baselines=sizes)
        show(report, "All 15,625", whole)
        distinct = ranking_report(
            {name: values[first] for name, values in scores.items()},
            columns["fs_true_c10"][first],
            baselines={name: values[first] for name, values in sizes.items()},
        )
        show(report, f"One of each class of isomorphic cells, {len(first):,}", distinct)


def show(report: ledger.Report, title: str, rankings: tuple) -> None:
    """A table of some rankings, tau with four decimals."""
    heading, *lines = ranking_table(rankings)
    table = report.table(title, *heading)
    for ranking, line in zip(rankings, lines, strict=True):
        table.row(line[0], f"{ranking.tau:.4f}", *line[2:])


if __name__ == "__main__":
    main()
