"""Benchmark tables: what the architectures of a space reach when trained, measured by others."""

import csv
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nascence.data.errors import DataError, MissingDataError, printable

Decisions = tuple[tuple[str, tuple[str | int, ...]], ...]
"""Name and choices of every decision of the space that a table is of."""
_ACCEL_DEVICES = ("zcu102", "vck190", "a100", "3090", "tpuv2", "tpuv3")


@dataclass(frozen=True)
class Table:
    """Columns of numbers over the architectures of a space.

    A row's place is the number that the architecture's indices write with the numbers of choices
    as bases, the last decision fastest, unless ``rows`` says otherwise.

    Attributes:
        name: of the benchmark.
        decisions: names and choices of the decisions that an architecture indexes.
        columns: float64 arrays (rows,), NaN where nothing was measured. Accuracies are in percent
            and named ``"DATA/ACCURACY"``, such as ``"cifar10/test"``; the others are costs
            (``"parameters"``, ``"flops"``, ``"latency/DEVICE"`` in milliseconds) or numbers.
        credit: who measured, and where it is published.
        rows: place of each architecture that a table of a part of the space holds.
    """

    name: str
    decisions: Decisions
    columns: Mapping[str, NDArray[np.float64]]
    credit: str
    rows: Mapping[tuple[int, ...], int] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def bases(self) -> tuple[int, ...]:
        """The number of choices of each decision."""
        return tuple(len(choices) for _, choices in self.decisions)

    def row(self, architecture: Sequence[int]) -> int:
        """Return the row of an architecture.

        Raises:
            DataError: it is not of the space, or the table does not hold it.
        """
        if len(architecture) != len(self.decisions) or not all(
            0 <= index < base for index, base in zip(architecture, self.bases, strict=True)
        ):
            raise DataError(
                f"{tuple(architecture)} is not an architecture of {self.name}: it takes one index "
                f"for each decision, below {', '.join(map(str, self.bases))}"
            )
        if self.rows is None:
            number = 0
            for index, base in zip(architecture, self.bases, strict=True):
                number = number * base + index
            return number
        if tuple(architecture) not in self.rows:
            raise DataError(
                f"the table of {self.name} holds {len(self):,} of {math.prod(self.bases):,} "
                f"architectures, and {tuple(architecture)} is not among them"
            )
        return self.rows[tuple(architecture)]

    def architectures(self) -> NDArray[np.int64]:
        """All architectures of the table in the order of its rows: (rows, decisions)."""
        if self.rows is not None:
            ordered = sorted(self.rows, key=self.rows.__getitem__)
            return np.array(ordered, dtype=np.int64).reshape(len(ordered), len(self.decisions))
        return np.stack(np.unravel_index(np.arange(len(self)), self.bases), axis=1)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a column, or raise DataError that names those which the table has."""
        if name not in self.columns:
            raise DataError(
                f"the table of {self.name} has no column {name!r}; it has {', '.join(self.columns)}"
            )
        return self.columns[name]

    def accuracies(self, data: str, accuracy: str = "test") -> NDArray[np.float64]:
        """Return the column of an accuracy in percent on a data set.

        Raises:
            DataError: a data set or an accuracy that the table lacks; says which it has.
        """
        known = [tuple(name.split("/")) for name in self.columns if "/" in name]
        known = [pair for pair in known if pair[0] != "latency"]
        if data not in {pair[0] for pair in known}:
            names = dict.fromkeys(pair[0] for pair in known)
            raise DataError(
                f"the table of {self.name} has no data set {data!r}; it has {', '.join(names)}"
            )
        if (data, accuracy) not in known:
            names = dict.fromkeys(pair[1] for pair in known if pair[0] == data)
            raise DataError(
                f"the table of {self.name} has no accuracy {accuracy!r} on {data}; "
                f"it has {', '.join(names)}"
            )
        return self.columns[f"{data}/{accuracy}"]

    def joined(self, columns: Mapping[str, NDArray[np.float64]]) -> "Table":
        """Return the table with more columns, each of one value per row."""
        for name, values in columns.items():
            if values.shape != (len(self),):
                raise DataError(
                    f"column {name!r} has the shape {values.shape}, where the table of "
                    f"{self.name} has {len(self):,} rows"
                )
        return Table(self.name, self.decisions, {**self.columns, **columns}, self.credit, self.rows)


def nb201() -> Table:
    """The 15,625 cells of NAS-Bench-201, in the order of :meth:`nascence.spaces.NB201.index`.

    Columns: ``DATA/test`` after 200 epochs, ``DATA/validation-12`` and ``DATA/test-12`` after 12,
    DATA being cifar10, cifar100 and imagenet16-120; ``cifar10/train`` after 200; ``parameters``,
    ``flops`` (multiply-adds on CIFAR-10); ``class``, the published number of the first
    architecture isomorphic to this one; ``number``, the published number.

    Dong and Yang, ICLR 2020; Dong, Liu, Musial and Gabrys (NATS-Bench), TPAMI 2021.
    """
    return _bundled("nb201")


def nats_size() -> Table:
    """The size space of NATS-Bench: 32,768 widths of five layers, ``cifar10/test``.

    Dong, Liu, Musial and Gabrys, TPAMI 2021: 90 epochs.
    """
    return _bundled("nats-size")


def nasbench_macro() -> Table:
    """NAS-Bench-Macro: 6,561 networks of eight layers, CIFAR-10 test accuracy of three seeds.

    Columns: ``cifar10/test``, their mean, ``cifar10/test-0`` to ``-2``, ``parameters``, ``flops``.
    Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021.
    """
    return _bundled("nasbench-macro")


def nb201_latencies(path: str | os.PathLike[str]) -> dict[str, NDArray[np.float64]]:
    """Read the measured latencies of all NAS-Bench-201 networks, for :meth:`Table.joined`.

    Args:
        path: CSV with the column ``idx``, the published number, and one of milliseconds for each
            device.

    Returns:
        ``"latency/DEVICE"`` to milliseconds, (15625,), in the order of :func:`nb201`.
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


def accel_nasbench(path: str | os.PathLike[str]) -> Table:
    """Read Accel-NASBench: 5,138 MnasNet-like networks with ImageNet accuracies and devices.

    An architecture has seven stages of an expansion, a kernel, a number of layers and whether it
    squeezes and excites, ``arch_eklse`` in the CSV. Rows of one architecture are averaged.

    Ahmad, Afzal, Luk and Guo, "Accel-NASBench", DAC 2024.
    """
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
    credit = "Ahmad, Afzal, Luk and Guo, Accel-NASBench, DAC 2024; Apache-2.0"
    return Table("Accel-NASBench", decisions, columns, credit, rows)


def _indices_of(digits: str, decisions: Decisions, path: str | os.PathLike[str]) -> tuple[int, ...]:
    try:
        return tuple(
            choices.index(int(digit)) for digit, (_, choices) in zip(digits, decisions, strict=True)
        )
    except ValueError:
        raise DataError(
            f"{printable(path)} holds the architecture {digits!r}, which is none"
        ) from None


def _bundled(name: str) -> Table:
    with as_file(files("nascence.data") / "tables" / f"{name}.npz") as path:
        return read_table(path)


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a table of a whole space, as ``benchmarks/make_tables.py`` writes it.

    The file is an npz: ``facts``, JSON as bytes with name, credit, decisions and the number of
    decimals of every column; the columns are integers, so that values are exactly the decimals
    that were published.

    Raises:
        DataError: a file of another kind.
    """
    if not Path(path).exists():
        raise MissingDataError(f"there is no table at {printable(path)}")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            facts = json.loads(archive["facts"].tobytes())
            columns = {
                name: archive[f"{place}"].astype(np.float64) / 10 ** int(decimals)
                for place, (name, decimals) in enumerate(facts["columns"].items())
            }
            decisions = tuple((str(name), tuple(choices)) for name, choices in facts["decisions"])
            table = Table(str(facts["name"]), decisions, columns, str(facts["credit"]))
            sizes = {values.shape for values in columns.values()}
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, OSError) as error:
        raise DataError(f"{printable(path)} is not a table ({printable(str(error))})") from None
    except Exception as error:  # zipfile and zlib raise their own kinds
        raise DataError(f"{printable(path)} is not a table ({type(error).__name__})") from None
    if sizes != {(math.prod(table.bases),)}:
        raise DataError(
            f"{printable(path)} is not a table: its columns must have "
            f"{math.prod(table.bases):,} rows each"
        )
    return table


def _read_csv(path: str | os.PathLike[str]) -> tuple[list[str], list[list[str]]]:
    if not Path(path).exists():
        raise MissingDataError(f"there is no file at {printable(path)}")
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *cells = list(csv.reader(file)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{printable(path)} is not a CSV file ({printable(str(error))})") from None
    for number, line in enumerate(cells, 2):
        if len(line) != len(header):
            raise DataError(
                f"{printable(path)} has {len(line)} cells in line {number} and {len(header)} "
                "names in the first"
            )
    return header, cells


def _as_floats(cells: list[list[str]], path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Numbers of a CSV, NaN for empty cells: (lines, columns)."""
    try:
        return np.array([[float(cell or "nan") for cell in line] for line in cells])
    except ValueError as error:
        raise DataError(f"{printable(path)} holds what is no number: {error}") from None
