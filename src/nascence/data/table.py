"""Benchmark tables: measurements by others of the trained architectures of a space."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nascence.data.errors import DataError, MissingDataError, foreign, printable

Decisions = tuple[tuple[str, tuple[str | int, ...]], ...]
"""Name and choices of every decision of the space of a table."""


@dataclass(frozen=True)
class Table:
    """Columns of numbers over the architectures of a space.

    A row's place is the number that the architecture's indices write with the numbers of choices
    as bases, the last decision fastest, unless ``rows`` says otherwise.

    Attributes:
        name: name of the benchmark.
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

    def accuracies(self, data: str = "", accuracy: str = "") -> NDArray[np.float64]:
        """Return the column of an accuracy in percent on a data set; see :meth:`accuracy_name`."""
        return self.columns[self.accuracy_name(data, accuracy)]

    def accuracy_name(self, data: str = "", accuracy: str = "") -> str:
        """Return the name of an accuracy's column, ``"DATA/ACCURACY"``.

        Args:
            data: a data set; if empty, the first of the table.
            accuracy: which on that data set; if empty, ``test``, or the first where there is none.

        Raises:
            DataError: a data set or an accuracy that the table lacks; says which it has.
        """
        known: dict[str, list[str]] = {}
        for name in self.columns:
            first, slash, second = name.partition("/")
            if slash and first != "latency":
                known.setdefault(first, []).append(second)
        data = data or next(iter(known), "")
        if data not in known:
            raise DataError(
                f"the table of {self.name} has no data set {data!r}; it has {', '.join(known)}"
            )
        if not accuracy:
            accuracy = "test" if "test" in known[data] else known[data][0]
        if accuracy not in known[data]:
            raise DataError(
                f"the table of {self.name} has no accuracy {accuracy!r} on {data}; "
                f"it has {', '.join(known[data])}"
            )
        return f"{data}/{accuracy}"

    def joined(self, columns: Mapping[str, NDArray[np.float64]]) -> "Table":
        """Return the table with more columns, each of one value per row.

        Raises:
            DataError: a column has not one value per row.
        """
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
    return bundled("nb201")


def nats_size() -> Table:
    """The size space of NATS-Bench: 32,768 widths of five layers, ``cifar10/test``.

    Dong, Liu, Musial and Gabrys, TPAMI 2021: 90 epochs.
    """
    return bundled("nats-size")


def nasbench_macro() -> Table:
    """NAS-Bench-Macro: 6,561 networks of eight layers, CIFAR-10 test accuracy of three seeds.

    Columns: ``cifar10/test``, their mean, ``cifar10/test-0`` to ``-2``, ``parameters``, ``flops``.
    Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search", CVPR 2021.
    """
    return bundled("nasbench-macro")


def bundled(name: str) -> Table:
    """Read a table that comes with the package."""
    with as_file(files("nascence.data") / "tables" / f"{name}.npz") as path:
        return read_table(path)


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a table, as ``benchmarks/data/make_tables.py`` writes it.

    The file is an npz: ``facts``, JSON as bytes with name, credit, decisions and the number of
    decimals of every column; the columns are integers, so that values are exactly the decimals
    that were published; ``N-missing`` are the rows where column ``N`` was not measured; ``rows``,
    (rows, decisions), the architectures of a table that holds a part of its space.

    Raises:
        DataError: a file of another kind.
        MissingDataError: there is no file.
    """
    if not Path(path).exists():
        raise MissingDataError(f"there is no table at {printable(path)}")
    invalid = f"{printable(path)} is not a table"
    remedy = "write it with benchmarks/data/make_tables.py"
    with foreign(invalid, remedy), open(path, "rb") as file, np.load(file) as archive:
        facts = json.loads(archive["facts"].tobytes())
        columns = {
            str(name): _column(archive, place, int(decimals))
            for place, (name, decimals) in enumerate(facts["columns"].items())
        }
        decisions = tuple((str(name), tuple(choices)) for name, choices in facts["decisions"])
        rows = _rows(archive, decisions)
        table = Table(str(facts["name"]), decisions, columns, str(facts["credit"]), rows)
        expected = math.prod(table.bases) if rows is None else len(rows)
        if {values.shape for values in columns.values()} != {(expected,)}:
            raise ValueError(f"its columns must have {expected:,} rows each")
    return table


def _column(archive: Mapping[str, NDArray], place: int, decimals: int) -> NDArray[np.float64]:
    if not 0 <= decimals <= 300:
        raise ValueError(f"column {place} has {decimals} decimals; allowed are 0 to 300")
    values = archive[f"{place}"].astype(np.float64) / 10**decimals
    if f"{place}-missing" in archive:
        values[archive[f"{place}-missing"]] = np.nan
    return values


def _rows(
    archive: Mapping[str, NDArray], decisions: Decisions
) -> Mapping[tuple[int, ...], int] | None:
    """Place of each architecture, None for a table of a whole space."""
    if "rows" not in archive:
        return None
    listed = archive["rows"]
    bases = [len(choices) for _, choices in decisions]
    if listed.ndim != 2 or listed.shape[1] != len(bases) or (listed < 0).any():
        raise ValueError("its architectures are not of its decisions")
    if (listed >= np.array(bases)).any():
        raise ValueError("an architecture has a choice that its decision lacks")
    rows = {tuple(indices): row for row, indices in enumerate(listed.tolist())}
    if len(rows) < len(listed):
        raise ValueError("an architecture stands in it twice")
    return rows
