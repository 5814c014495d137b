"""One parquet file: its columns of images and labels, read without trust in either."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nascence.data.errors import DataError, foreign, printable
from nascence.data.source import Item

IMAGE_COLUMNS = ("image", "img", "images", "jpg", "png", "webp")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target")


class ParquetFile:
    """The schema of a file, and its columns on demand.

    Attributes:
        path: Of the file.
        name: The file's name as one line of text.
        groups: Number of row groups.

    Raises:
        DataError: The file cannot be read; so do all methods that read from it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = printable(path.name)
        unreadable = f"{printable(path)} is not a readable parquet file"
        with foreign(unreadable, "write it again or remove it"), pq.ParquetFile(path) as file:
            self.schema: pa.Schema = file.schema_arrow
            self.groups: int = file.metadata.num_row_groups
            self._columns = ", ".join(f"{field.name}: {field.type}" for field in self.schema)

    def column(self, known: Sequence[str], kind: str) -> str | None:
        """Return the first of the known columns that holds images or labels, as ``kind`` says."""
        fits = _holds_images if kind == "image" else _holds_labels
        for name in known:
            if self._count(name) == 1 and fits(self.schema.field(name).type):
                return name
        return None

    def has_any(self, names: Sequence[str]) -> bool:
        """Whether a column has one of these names, whatever it holds."""
        return any(map(self._count, names))

    def listed(self) -> str:
        """Names and types of the columns, cut where they are long."""
        return printable(self._columns)[:300] or "none"

    def kind(self, column: str) -> str:
        """The type of a column, as Arrow names it."""
        return printable(str(self.schema.field(column).type))[:100]

    def check(self, image: str, label: str, first: "ParquetFile") -> None:
        """Refuse a file whose columns are not those of the first one.

        Raises:
            DataError: A column is missing, or holds something else.
        """
        for name, fits in ((image, _holds_images), (label, _holds_labels)):
            if self._count(name) != 1:
                raise DataError(
                    f"{printable(self.path)} has no column {name!r} as {first.name} has; all "
                    "files need the same columns: remove or rewrite the file"
                )
            if not fits(self.schema.field(name).type):
                raise DataError(
                    f"column {name!r} of {printable(self.path)} is {self.kind(name)}, in "
                    f"{first.name} it is {first.kind(name)}; all files need the same kind: remove "
                    "or rewrite the file"
                )

    def _count(self, column: str) -> int:
        return len(self.schema.get_all_field_indices(column))

    def class_names(self, label: str) -> tuple[str, ...] | None:
        """Names of a ClassLabel in the metadata, if there are any and labels are numbers."""
        if self.is_text(label):
            return None
        try:
            text = (self.schema.metadata or {})[b"huggingface"]
            names = json.loads(text)["info"]["features"][label]["names"]
        except (KeyError, ValueError, TypeError, RecursionError):
            return None
        if not (isinstance(names, list) and names and all(isinstance(n, str) for n in names)):
            return None
        return tuple(map(printable, names))

    def is_text(self, label: str) -> bool:
        """Whether labels are strings, or true and false, which are read as such."""
        return _is_text(self.schema.field(label).type)

    def numbers(self, label: str) -> NDArray[Any]:
        """Labels as they are stored: ``(N,)``."""
        with self._damaged():
            return np.asarray(self._labels(label, _plain(self.schema.field(label).type)).to_numpy())

    def encoded(self, label: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Labels of strings as places, int64 ``(N,)``, in a list of those that occur."""
        with self._damaged():
            column = self._labels(label, pa.large_string()).combine_chunks().dictionary_encode()
            return column.indices.to_numpy().astype(np.int64), tuple(column.dictionary.to_pylist())

    def batches(
        self, column: str, size: int, groups: list[int] | None = None
    ) -> Iterator[pa.Array]:
        """Values of a column, ``(size,)`` or fewer at a time, of all row groups or of some."""
        with self._damaged(), pq.ParquetFile(self.path) as table:
            for batch in table.iter_batches(size, groups, [column]):
                yield batch.column(0)

    def items(self, column: pa.Array, start: int) -> list[Item]:
        """Encoded images of a column of them, ``(n,)``, whose first row is number ``start``."""
        if pa.types.is_struct(column.type):
            column = column.flatten()[column.type.get_field_index("bytes")]
        return [
            Item(f"row {start + offset} of {self.name}", value.as_py())
            for offset, value in enumerate(column)
        ]

    def _labels(self, label: str, kind: pa.DataType) -> pa.ChunkedArray:
        chunks = [chunk.cast(kind) for chunk in self.batches(label, 1 << 16)]
        column = pa.chunked_array(chunks, kind)
        if column.null_count:
            row = column.is_null().to_numpy().argmax()
            raise DataError(
                f"label in row {row} of {self.name} is missing ({column.null_count} such rows); "
                "every image needs one: fill in or remove these rows"
            )
        return column

    def _damaged(self) -> AbstractContextManager[None]:
        return foreign(f"{printable(self.path)} is damaged", "write it again or remove it")


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values, where a column refers to a dictionary of them."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_one_of(kind: pa.DataType, *names: str) -> bool:
    return any(getattr(pa.types, f"is_{name}")(kind) for name in names)


def _is_text(kind: pa.DataType) -> bool:
    return _is_one_of(_plain(kind), "string", "large_string", "string_view", "boolean")


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_images(kind.field(index).type)
    return _is_one_of(kind, "binary", "large_binary", "binary_view", "fixed_size_binary")


def _holds_labels(kind: pa.DataType) -> bool:
    return _is_text(kind) or _is_one_of(_plain(kind), "integer", "floating")
