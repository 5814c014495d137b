"""Parquet files in the layout of Hugging Face image data sets."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from nascence.data.errors import DataError, printable
from nascence.data.layout import FileSplits, file_roles, file_splits, holds_images, subfolders, walk
from nascence.data.parquet_file import IMAGE_COLUMNS, LABEL_COLUMNS, ParquetFile
from nascence.data.source import (
    EncodedImages,
    Item,
    Labels,
    Source,
    check_labels,
    evenly,
    name_classes,
)

BLOCK = 256


def read_parquet(path: Path) -> Source:
    """One parquet file, or a folder of them at any depth.

    Images are in the column ``image`` or ``img`` (or ``images``, ``jpg``, ``png``, ``webp``) as a
    struct with ``bytes``, or as plain binary; a ``path`` is never followed. Labels are in
    ``label``, ``labels``, ``fine_label``, ``class`` or ``target``: whole numbers, strings, or true
    and false. Class names come from the metadata where they are; files whose names differ are put
    together by name. :mod:`nascence.data.layout` says which files are of which split.

    Raises:
        DataError: A file is not parquet, a column is missing or of another kind than in the other
            files, a label is out of range, or the layout can be read in two ways.
    """
    splits, stray = _found(path)
    train = [ParquetFile(file) for file in splits.train]
    validation = [ParquetFile(file) for file in splits.validation]
    where = printable(path)
    image, label = _columns(train, where)
    for file in (*train, *validation):
        file.check(image, label, train[0])
    names = _class_names(train, validation, label)
    train_labels = _labels(train, label, names)
    held_out_labels = _labels(validation, label, names) if validation else None
    if names is None:
        names = name_classes(train_labels, held_out_labels, where)
    held_out = None
    if held_out_labels is not None:
        held_out = _encoded(validation, image, held_out_labels)
    return Source(
        class_names=names,
        train=_encoded(train, image, train_labels),
        validation=held_out,
        origins=(_origin(splits.train), _origin(splits.validation) if validation else None),
        skipped=tuple(
            f"{printable(file.relative_to(path))} is not read"
            for file in (*splits.left_out, *stray)
        ),
        files=(*splits.train, *splits.validation),
    )


def is_parquet(path: Path) -> bool:
    """Whether this is a parquet file, or a folder of data in some.

    Files beside class folders that hold no images, such as ``metadata.parquet``, are no data.
    """
    if not path.is_dir():
        return path.suffix.lower() == ".parquet"
    files = parquet_files(path)
    return bool(files) and (
        any(map(_is_data, files)) or not any(map(holds_images, subfolders(path)))
    )


def parquet_files(folder: Path) -> list[Path]:
    """Visible parquet files of a folder, at any depth."""
    return sorted(walk(folder, suffix=".parquet"))


def _is_data(path: Path) -> bool:
    """Whether a file has an image column; what cannot be read is no data."""
    try:
        return ParquetFile(path).column(IMAGE_COLUMNS, "image") is not None
    except DataError:
        return False


def _found(path: Path) -> tuple[FileSplits, list[Path]]:
    """The files of each split, and those that are no images: of no split, without such a column."""
    if path.is_file():
        return FileSplits([path], [], []), []
    files = parquet_files(path)
    classes = [folder for folder in subfolders(path) if holds_images(folder)]
    if len(classes) > 1:
        raise DataError(
            f"{printable(path)} can be read in two ways: as the {len(files)} parquet files in it, "
            f"or as class folders ({printable(classes[0].name)}/ and others hold images); move one "
            "of the two away"
        )
    unnamed = [file for file in files if not file_roles(file.relative_to(path))]
    stray = [file for file in unnamed if not ParquetFile(file).has_any(IMAGE_COLUMNS)]
    if len(stray) == len(files):
        return FileSplits(files, [], []), []
    return file_splits([file for file in files if file not in stray], path), stray


def _origin(files: Sequence[Path]) -> str:
    first = printable(files[0].name)
    return first if len(files) == 1 else f"{first} and {len(files) - 1} more"


def _columns(files: Sequence[ParquetFile], where: str) -> tuple[str, str]:
    """Names of the image and the label column, from the first file."""
    first = files[0]
    image = first.column(IMAGE_COLUMNS, "image")
    label = first.column(LABEL_COLUMNS, "label")
    for name, known, kind, content in (
        (image, IMAGE_COLUMNS, "image", "struct with bytes, or binary"),
        (label, LABEL_COLUMNS, "label", "whole numbers or strings"),
    ):
        if name is None:
            raise DataError(
                f"{first.name} of {where} has no {kind} column; columns are {first.listed()}; "
                f"allowed are {', '.join(known)} ({content}): rename or convert the column"
            )
    return str(image), str(label)


def _class_names(
    train: Sequence[ParquetFile], validation: Sequence[ParquetFile], label: str
) -> tuple[str, ...] | None:
    """Names that the labels of all files have in common; ``None`` where labels are numbers."""
    files = (*train, *validation)
    declared = [names for file in files if (names := file.class_names(label))]
    text = [file for file in files if file.is_text(label)]
    if not text and len(set(declared)) < 2:
        return declared[0] if declared else None
    for file in files:
        if not (file.is_text(label) or file.class_names(label)):
            other = text[0].name if text else "the other files"
            raise DataError(
                f"labels of {file.name} are {file.kind(label)} without class names, those of "
                f"{other} are names; all files need the same kind: rewrite the labels"
            )
    named = (file.class_names(label) or () for file in train)
    written = (file.encoded(label)[1] for file in train if file.is_text(label))
    return tuple(dict.fromkeys((*_flat(named), *sorted(set(_flat(written))))))


def _flat(lists: Iterable[Sequence[str]]) -> list[str]:
    return [name for names in lists for name in names]


def _labels(files: Sequence[ParquetFile], label: str, names: tuple[str, ...] | None) -> Labels:
    """Labels of files in a row as places in ``names``: int64 ``(N,)``."""
    parts = [_of_file(file, label, names) for file in files]
    labels = np.concatenate(parts)
    if not len(labels):
        raise DataError(f"{files[0].name} has no rows; each row must hold one image and its label")
    return labels


def _of_file(file: ParquetFile, label: str, names: tuple[str, ...] | None) -> Labels:
    place = {name: index for index, name in enumerate(names or ())}
    own: tuple[str, ...] | None
    if file.is_text(label):
        index, own = file.encoded(label)
    else:
        own = file.class_names(label) or names
        index = check_labels(file.numbers(label), file.name, own)
        if own is None or own == names:
            return index
    wanted = np.array([place.get(name, -1) for name in own], np.int64)
    labels = wanted[index] if len(index) else index
    unknown = np.flatnonzero(labels < 0)
    if len(unknown):
        row = unknown[0]
        raise DataError(
            f"label {printable(own[index[row]])!r} in row {row} of {file.name} is out of range; "
            f"allowed are the {len(place)} classes of the training split: correct the row"
        )
    return labels


def _encoded(files: Sequence[ParquetFile], image: str, labels: Labels) -> EncodedImages:
    def blocks() -> Iterator[list[Item]]:
        done = 0
        for file in files:
            start = 0
            for batch in file.batches(image, BLOCK):
                done += len(batch)
                if done > len(labels):
                    break
                yield file.items(batch, start)
                start += len(batch)
        if done != len(labels):
            raise DataError(
                f"the {len(files)} files with {files[0].name} hold {len(labels)} labels and "
                f"{'more' if done > len(labels) else done} images; write them again"
            )

    def probe() -> list[Item]:
        """The first rows of row groups spread over the files."""
        groups = [(file, group) for file in files for group in range(file.groups)]
        chosen = [groups[index] for index in evenly(len(groups), 8)]
        items: list[Item] = []
        for file, group in chosen:
            batch = next(file.batches(image, 1000 // len(chosen), [group]), None)
            items += [] if batch is None else file.items(batch, 0)
        return items

    return EncodedImages(labels, blocks, probe)
