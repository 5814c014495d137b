"""Make the benchmark tables that come with the package from the CSV files of their sources.

    python -m benchmarks.data.make_tables DATA [--out src/nascence/data/tables]

DATA is the folder of nb201.csv, natsbench_sss_c10.csv, nasbench_macro_c10.csv and
accel_nasbench_imagenet.csv. Every value is kept exactly, as an integer and the number of its
decimals. Of Accel-NASBench the two networks without latencies are left out, and where a network
stands twice the mean of its two measurements is kept.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import ledger
from nascence.data import accel_nasbench
from nascence.spaces.cell import EDGES, OPERATIONS

NATS = (
    "Dong and Yang, NAS-Bench-201, ICLR 2020; Dong, Liu, Musial and Gabrys, NATS-Bench, "
    "TPAMI 2021; MIT, copyright (c) since 2020 Xuanyi Dong"
)
MACRO = (
    "Su et al., Prioritized Architecture Sampling with Monto-Carlo Tree Search (NAS-Bench-Macro), "
    "CVPR 2021; Apache-2.0"
)
NB201_COLUMNS = {
    "cifar10/test": "c10_test_200",
    "cifar100/test": "c100_test_200",
    "imagenet16-120/test": "in16_test_200",
    "cifar10/train": "c10_train_200",
    "cifar10/validation-12": "c10_val_12",
    "cifar10/test-12": "c10_test_12",
    "cifar100/validation-12": "c100_val_12",
    "cifar100/test-12": "c100_test_12",
    "imagenet16-120/validation-12": "in16_val_12",
    "imagenet16-120/test-12": "in16_test_12",
    "parameters": "params",
    "class": "iso_id",
    "number": "idx",
}


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/nascence/data/tables"))
    options = ledger.parse(parser, words)
    options.out.mkdir(parents=True, exist_ok=True)
    files = (
        ("nb201", nb201(options.data / "nb201.csv")),
        ("nats-size", nats_size(options.data / "natsbench_sss_c10.csv")),
        ("nasbench-macro", nasbench_macro(options.data / "nasbench_macro_c10.csv")),
        ("accel-nasbench", accel(options.data / "accel_nasbench_imagenet.csv")),
    )
    with ledger.Report(options) as report:
        sizes = report.table("Tables in the package", "file", ("size", "bytes", "lower"))
        for name, table in files:
            path = options.out / f"{name}.npz"
            write(path, table)
            sizes.row(path.name, path.stat().st_size)


class Source(NamedTuple):
    """What a table of the package is made from."""

    name: str
    credit: str
    decisions: Sequence[tuple[str, Sequence[object]]]
    columns: Mapping[str, Sequence[str | None]]
    architectures: np.ndarray | None = None


def nb201(path: Path) -> Source:
    rows = read(path)
    edges = [
        [
            edge.split("~")[0]
            for node in row["arch"].split("+")
            for edge in node.strip("|").split("|")
        ]
        for row in rows
    ]
    rows = ordered(rows, [[OPERATIONS.index(name) for name in cell] for cell in edges], (5,) * 6)
    decisions = [(f"edge_{source}_{target}", OPERATIONS) for source, target in EDGES]
    columns = {ours: [row[theirs] for row in rows] for ours, theirs in NB201_COLUMNS.items()}
    columns["flops"] = [str(Decimal(row["mflops_c10"]).scaleb(6)) for row in rows]
    return Source("NAS-Bench-201", NATS, decisions, columns)


def nats_size(path: Path) -> Source:
    rows = read(path)
    widths = [[int(width) // 8 - 1 for width in row["channels"].split(":")] for row in rows]
    rows = ordered(rows, widths, (8,) * 5)
    decisions = [(f"width_{layer}", tuple(range(8, 65, 8))) for layer in range(5)]
    columns = {"cifar10/test": [row["c10_acc"] for row in rows]}
    return Source("NATS-Bench size", NATS, decisions, columns)


def nasbench_macro(path: Path) -> Source:
    rows = read(path)
    rows = ordered(rows, [list(map(int, row["arch"])) for row in rows], (3,) * 8)
    blocks = ("identity", "mb3_k3", "mb6_k5")
    decisions = [(f"layer_{layer}", blocks) for layer in range(8)]
    columns = {"cifar10/test": [row["mean_acc"] for row in rows]}
    columns |= {f"cifar10/test-{seed}": [row[f"acc{seed}"] for row in rows] for seed in range(3)}
    columns |= {"parameters": [row["params"] for row in rows]}
    columns |= {"flops": [row["flops"] for row in rows]}
    return Source("NAS-Bench-Macro", MACRO, decisions, columns)


def accel(path: Path) -> Source:
    table = accel_nasbench(path)
    measured = np.flatnonzero(~np.isnan(table.columns["latency/zcu102"]))
    columns = {
        name: [None if np.isnan(value) else f"{value:.4f}" for value in values[measured]]
        for name, values in table.columns.items()
    }  # a mean of two values of three decimals has four
    rows = table.architectures()[measured]
    return Source(table.name, table.credit, table.decisions, columns, rows)


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def ordered(rows: list, indices: list[list[int]], bases: Sequence[int]) -> list:
    """The rows in the order of their indices, of which each must occur once."""
    numbers = np.ravel_multi_index(np.array(indices).T, tuple(bases))
    assert sorted(numbers) == list(range(int(np.prod(bases))))
    return [rows[place] for place in np.argsort(numbers)]


def write(path: Path, source: Source) -> None:
    """Write the file that nascence.data.table.read_table reads; None is what was not measured."""
    decimals, arrays = {}, {}
    for place, (column, texts) in enumerate(source.columns.items()):
        exact = [Decimal(text or 0).normalize() for text in texts]
        decimals[column] = max(0, *(-int(value.as_tuple().exponent) for value in exact))
        values = np.array([int(value.scaleb(decimals[column])) for value in exact])
        small = np.min_scalar_type(int(values.max()))
        arrays[str(place)] = values.astype(small)
        if missing := [row for row, text in enumerate(texts) if text is None]:
            arrays[f"{place}-missing"] = np.array(missing, np.uint32)
    if source.architectures is not None:
        arrays["rows"] = source.architectures.astype(np.uint8)
    facts = {"name": source.name, "credit": source.credit, "decisions": source.decisions}
    encoded = json.dumps({**facts, "columns": decimals}).encode()
    arrays["facts"] = np.frombuffer(encoded, np.uint8)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
