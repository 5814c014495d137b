"""Parquet files in the layout of Hugging Face image data sets."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nascence.data.errors import DataError, printable
from nascence.data.source import (
    EncodedImages,
    Item,
    Labels,
    Source,
    check_labels,
    evenly,
    name_classes,
)

IMAGE_COLUMNS = ("image", "img", "images", "jpg", "png", "webp")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target")
VALIDATION = ("validation", "valid", "val", "test")
BLOCK = 256


def read_parquet(path: Path) -> Source:
    """One parquet file, or a folder of them, in it or in folders directly below.

    Images are in the column ``image`` or ``img`` (or ``images``, ``jpg``, ``png``, ``webp``) as a
    struct with ``bytes``, or as plain binary; a ``path`` is never followed. Labels are in
    ``label``, ``labels``, ``fine_label``, ``class`` or ``target``, whole numbers or strings. Class
    names come from the metadata where they are. In a folder, files named ``train*`` are the
    training split and files named ``validation*``, ``valid*``, ``val*`` or else ``test*`` the
    validation split; with other names all files are one set.

    Raises:
        DataError: A file is not parquet, a column is missing, or a label is out of range.
    """
    train_files, validation_files = _shards(path)
    train = _Table(train_files)
    names = train.class_names()
    validation = _Table(validation_files) if validation_files else None
    if names is None and train.labels_are_strings():
        names = tuple(sorted(set(train.raw_labels().tolist())))
    train_labels = train.labels(names)
    validation_labels = validation.labels(names) if validation else None
    if names is None:
        names = name_classes(train_labels, validation_labels, printable(path))
    held_out = None
    if validation is not None and validation_labels is not None:
        held_out = validation.encoded(validation_labels)
    files = (*train_files, *validation_files)
    return Source(names, train.encoded(train_labels), held_out, files=files)


def is_parquet(path: Path) -> bool:
    """Whether this is a parquet file, or a folder with some."""
    if path.is_dir():
        return bool(parquet_files(path))
    return path.suffix.lower() == ".parquet"


def parquet_files(folder: Path) -> list[Path]:
    """Visible parquet files of a folder, else of the folders directly below it."""
    for pattern in ("*.parquet", "*/*.parquet"):
        found = [path for path in folder.glob(pattern) if path.is_file()]
        found = [path for path in found if not path.name.startswith(".")]
        if found:
            return sorted(found)
    return []


def _shards(path: Path) -> tuple[list[Path], list[Path]]:
    if path.is_file():
        return [path], []
    files = parquet_files(path)
    train = [file for file in files if file.name.startswith("train")]
    if not train:
        return files, []
    for prefix in VALIDATION:
        held_out = [file for file in files if file.name.startswith(prefix)]
        if held_out:
            return train, held_out
    return train, []


class _Table:
    """The image and label columns of some parquet files with one schema."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files
        self.where = printable(files[0].name if len(files) == 1 else files[0].parent)
        self.schema = _schema(files[0])
        self.image = self._column(IMAGE_COLUMNS, "image", _holds_images)
        self.label = self._column(LABEL_COLUMNS, "label", _holds_labels)
        for file in files[1:]:
            schema = _schema(file)
            for name in (self.image, self.label):
                if name not in schema.names:
                    raise DataError(
                        f"{printable(file)} has no column {name!r} as {files[0].name} has; all "
                        "files of a split need the same columns: remove or rewrite the file"
                    )

    def _column(self, known: Sequence[str], kind: str, fits: Any) -> str:
        for name in known:
            if name in self.schema.names and fits(self.schema.field(name).type):
                return name
        columns = ", ".join(f"{field.name}: {field.type}" for field in self.schema) or "none"
        content = "struct with bytes, or binary" if kind == "image" else "whole numbers or strings"
        raise DataError(
            f"{self.where} has no {kind} column; columns are {printable(columns)[:300]}; allowed "
            f"are {', '.join(known)} ({content}): rename the column"
        )

    def class_names(self) -> tuple[str, ...] | None:
        """Names of a ClassLabel in the metadata, if there are any."""
        try:
            text = (self.schema.metadata or {})[b"huggingface"]
            names = json.loads(text)["info"]["features"][self.label]["names"]
        except (KeyError, ValueError, TypeError):
            return None
        if not (isinstance(names, list) and names and all(isinstance(n, str) for n in names)):
            return None
        return tuple(names)

    def labels_are_strings(self) -> bool:
        kind = self.schema.field(self.label).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        return pa.types.is_string(kind) or pa.types.is_large_string(kind)

    def raw_labels(self) -> NDArray[Any]:
        chunks = [chunk for file in self.files for chunk in _batches(file, self.label, 1 << 16)]
        if not chunks:
            raise DataError(f"{self.where} has no rows; each row must hold one image and its label")
        column = pa.chunked_array(chunks)
        if column.null_count:
            row = column.is_null().to_numpy().argmax()
            raise DataError(
                f"label in row {row} of {self.where} is missing ({column.null_count} such rows); "
                "every image needs one: fill in or remove these rows"
            )
        return column.to_numpy()

    def labels(self, names: tuple[str, ...] | None) -> Labels:
        raw = self.raw_labels()
        if not self.labels_are_strings():
            return check_labels(raw, self.where, names)
        index = {name: position for position, name in enumerate(names or ())}
        for row, label in enumerate(raw):
            if label not in index:
                raise DataError(
                    f"label {printable(str(label))!r} in row {row} of {self.where} is out of "
                    f"range; allowed are the {len(index)} classes of the training split: correct "
                    "the row"
                )
        return np.array([index[label] for label in raw], np.int64)

    def encoded(self, labels: Labels) -> EncodedImages:
        return EncodedImages(labels, self._blocks, self._probe)

    def _items(self, column: pa.Array, file: Path, start: int) -> list[Item]:
        if pa.types.is_struct(column.type):
            column = column.flatten()[column.type.get_field_index("bytes")]
        name = printable(file.name)
        return [
            Item(f"row {start + offset} of {name}", value.as_py())
            for offset, value in enumerate(column)
        ]

    def _blocks(self) -> Iterator[list[Item]]:
        for file in self.files:
            start = 0
            for batch in _batches(file, self.image, BLOCK):
                yield self._items(batch, file, start)
                start += len(batch)

    def _probe(self) -> list[Item]:
        """The first rows of row groups spread over the files."""
        groups = [
            (file, group)
            for file in self.files
            for group in range(pq.read_metadata(file).num_row_groups)
        ]
        chosen = [groups[index] for index in evenly(len(groups), 8)]
        items: list[Item] = []
        for file, group in chosen:
            batch = next(_batches(file, self.image, 1000 // len(chosen), [group]), None)
            items += [] if batch is None else self._items(batch, file, 0)
        return items


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{printable(file)} is not a readable parquet file ({_first_line(error)}); write it "
            "again or remove it"
        ) from error


def _batches(
    file: Path, column: str, size: int, groups: list[int] | None = None
) -> Iterator[pa.Array]:
    try:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(size, groups, [column]):
                yield batch.column(0)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{printable(file)} is damaged ({_first_line(error)}); write it again or remove it"
        ) from error


def _first_line(error: Exception) -> str:
    return printable((str(error).splitlines() or [type(error).__name__])[0])[:200]


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_images(kind.field(index).type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _holds_labels(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _holds_labels(kind.value_type)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return is_text or pa.types.is_integer(kind) or pa.types.is_floating(kind)
