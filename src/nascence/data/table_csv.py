"""Benchmark tables read from the CSV files in which they are published."""

import csv
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nascence.data.errors import DataError, MissingDataError, foreign, printable
from nascence.data.table import Decisions, Table, bundled, nb201

_ACCEL_DEVICES = ("zcu102", "vck190", "a100", "3090", "tpuv2", "tpuv3")


def nb201_latencies(path: str | os.PathLike[str]) -> dict[str, NDArray[np.float64]]:
    """Read the measured latencies of all NAS-Bench-201 networks, for :meth:`Table.joined`.

    Args:
        path: CSV with the column ``idx``, the published number, and one of milliseconds for each
            device.

    Returns:
        ``"latency/DEVICE"`` to milliseconds, ``(15625,)``, in the order of :func:`nb201`.

    Raises:
        DataError: the file has other columns, or not one row for each network.
    """
    header, cells = _read_csv(path)
    if header[:1] != ["idx"] or len(header) < 2:
        raise DataError(f"{printable(path)} must begin with the column idx and name devices after")
    numbers = nb201().columns["number"].astype(np.int64)
    values = _as_floats(cells, path)
    if values.shape[0] != len(numbers) or set(values[:, 0]) != set(range(len(numbers))):
        raise DataError(
            f"{printable(path)} has {values.shape[0]:,} rows; it must have one for each number "
            f"from 0 to {len(numbers) - 1:,}"
        )
    ordered = values[np.argsort(values[:, 0])][numbers]
    return {f"latency/{name}": ordered[:, place] for place, name in enumerate(header) if place}


def accel_nasbench(path: str | os.PathLike[str] | None = None) -> Table:
    """Accel-NASBench: MnasNet-like networks with accuracies on ImageNet, and six devices.

    An architecture has seven stages of an expansion, a kernel, a number of layers and whether it
    squeezes and excites. The table holds some of a space of 1.0e11.

    Columns: ``imagenet/proxy-top1`` and ``imagenet/proxy-top5``, of the authors' shorter training;
    ``parameters``, ``flops``; ``latency/zcu102`` and ``latency/vck190``, two FPGAs;
    ``throughput-DEVICE``, images a second, of both and of a100, 3090, tpuv2 and tpuv3, NaN where
    it was not measured.

    Ahmad et al., "Accel-NASBench: Sustainable Benchmarking for Accelerator-aware NAS", DAC 2024.

    Args:
        path: the published CSV, with the architecture as ``arch_eklse``; rows of one architecture
            are averaged: 5,125 are left of 5,138. By default the table that comes with the
            package: those that have both latencies, 5,123.

    Raises:
        DataError: the file lacks columns.
    """
    if path is None:
        return bundled("accel-nasbench")
    header, cells = _read_csv(path)
    wanted = {"imagenet/proxy-top1": "val_top1", "imagenet/proxy-top5": "val_top5"}
    wanted |= {"parameters": "params", "flops": "macs"}
    wanted |= {f"latency/{device}": f"latency_{device}" for device in _ACCEL_DEVICES[:2]}
    wanted |= {f"throughput-{device}": f"throughput_{device}" for device in _ACCEL_DEVICES}
    missing = [name for name in ("arch_eklse", *wanted.values()) if name not in header]
    if missing:
        raise DataError(f"{printable(path)} lacks the columns {', '.join(missing)}")
    decisions = tuple(
        (f"stage_{stage}_{name}", choices)
        for stage in range(7)
        for name, choices in (
            ("expansion", (1, 4, 6)),
            ("kernel", (3, 5)),
            ("layers", (1, 2, 3, 4) if stage == 5 else (1, 2, 3)),
            ("squeeze", (0, 1)),
        )
    )
    place = header.index("arch_eklse")
    keys = [_indices_of(line[place].replace("-", ""), decisions, path) for line in cells]
    rows = {key: row for row, key in enumerate(dict.fromkeys(keys))}
    order = np.array([rows[key] for key in keys])
    values = _as_floats([[line[header.index(name)] for name in wanted.values()] for line in cells],
                        path)  # fmt: skip
    columns = {}
    for column, name in enumerate(wanted):
        scale = 1e6 if name in ("parameters", "flops") else 1.0
        sums = np.bincount(order, values[:, column], len(rows))
        columns[name] = scale * sums / np.bincount(order, minlength=len(rows))
    credit = "Ahmad et al., Accel-NASBench, DAC 2024; Apache-2.0"
    return Table("Accel-NASBench", decisions, columns, credit, rows)


def _indices_of(digits: str, decisions: Decisions, path: str | os.PathLike[str]) -> tuple[int, ...]:
    try:
        return tuple(
            choices.index(int(digit)) for digit, (_, choices) in zip(digits, decisions, strict=True)
        )
    except ValueError:
        raise DataError(
            f"{printable(path)} holds {digits!r}, which is not an architecture"
        ) from None


def _read_csv(path: str | os.PathLike[str]) -> tuple[list[str], list[list[str]]]:
    if not Path(path).exists():
        raise MissingDataError(f"there is no file at {printable(path)}")
    invalid, remedy = f"{printable(path)} is not a CSV file", "download it again"
    with foreign(invalid, remedy), open(path, newline="", encoding="utf-8") as file:
        header, *cells = list(csv.reader(file)) or [[]]
    for number, line in enumerate(cells, 2):
        if len(line) != len(header):
            raise DataError(
                f"{printable(path)} has {len(line)} cells in line {number} and {len(header)} "
                "names in the first"
            )
    return header, cells


def _as_floats(cells: list[list[str]], path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Numbers of a CSV, NaN for empty cells: (lines, columns)."""
    with foreign(f"{printable(path)} holds what is no number", "download it again"):
        numbers = [[float(cell or "nan") for cell in line] for line in cells]
    if not numbers:
        raise DataError(f"{printable(path)} has no line below its header; download it again")
    return np.array(numbers)
