"""Prepared arrays on disk, mapped into memory when read back."""

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nascence.data.arrays import NAMES, Arrays, Pages, Stored, fingerprint
from nascence.data.prepare import Preparation, prepare
from nascence.data.source import Source

VERSION = 3
ROWS = 256  # that are written at once


def default_folder() -> Path | None:
    """``NASCENCE_CACHE``, else the user's cache folder; ``None`` if the variable is empty."""
    chosen = os.environ.get("NASCENCE_CACHE")
    if chosen is not None:
        return Path(chosen) if chosen else None
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "nascence"


def key(files: Sequence[Path], *settings: object) -> str:
    """A name for decoded files: it changes with their paths, sizes, times and the settings."""
    digest = hashlib.blake2b(repr((VERSION, settings)).encode(), digest_size=16)
    for file in files:
        status = file.stat()
        digest.update(os.fsencode(file.resolve()))
        digest.update(f"\0{status.st_size} {status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def prepared(
    source: Source, where: str, settings: Preparation, folder: Path | None
) -> tuple[Stored, Arrays]:
    """Prepare a source, or read what was kept of it when it was prepared before.

    Args:
        source: What a reader found.
        where: Its name, for messages.
        settings: How images become arrays.
        folder: The cache; None keeps nothing.

    Raises:
        DataError: See :func:`nascence.data.prepare.prepare`.
    """
    if source.files is not None and folder is not None:
        settled: tuple[object, ...] = (settings.size, settings.framing)
        if source.validation is None:
            settled = (*settled, settings.validation_fraction, settings.seed)
        entry = folder / "data" / key(source.files, source.class_names, source.skipped, *settled)
        if (hit := read(entry)) is not None:
            return hit
        failure = None
        try:
            with workspace(entry) as room:
                write(entry, room, *prepare(source, where, settings, partial(allocate, room)))
        except CacheError as error:
            failure = error
        if (hit := read(entry)) is not None:  # also where another process was faster
            return hit
        if failure is not None:
            warnings.warn(f"decoded images are not kept, the cache fails: {failure}", stacklevel=3)
    return prepare(source, where, settings)


def read(folder: Path) -> tuple[Stored, Arrays] | None:
    """A complete and undamaged entry, or ``None``.

    The arrays are mapped copy on write: changing them changes no file.
    """
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in about.items()
        }
        stored = Stored(**fields)
        shapes = {"train": stored.train_shape, "validation": stored.validation_shape}
        arrays: Arrays = {}
        for name, kind in NAMES.items():
            split, what = name.split("_")
            shape = shapes[split] if what == "images" else shapes[split][:1]
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            if (folder / name).stat().st_size != size:
                return None
            arrays[name] = np.memmap(folder / name, kind, mode="c", shape=shape)
        if fingerprint(arrays, stored.class_names) != stored.fingerprint:
            return None
    except Exception:  # whatever a damaged entry raises, it is made again
        return None
    return stored, arrays


class CacheError(OSError):
    """The cache cannot be written."""


@contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A new folder beside the place of an entry, removed at the end.

    Raises:
        CacheError: It cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder.parent)
        temporary = tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent)
    except OSError as error:
        raise CacheError(f"{folder.parent}: {error.strerror or error}") from error
    with temporary as name:
        yield Path(name)


def allocate(folder: Path, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A uint8 array of ``shape`` in a new file, its space reserved: a full disk is an error here.

    Raises:
        CacheError: There is no space, or the file cannot be written.
    """
    path, size = folder / name, int(np.prod(shape))
    try:
        with open(path, "wb") as file:
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        if not size:  # an empty file cannot be mapped
            return np.empty(shape, np.uint8)
        return np.memmap(path, np.uint8, mode="r+", shape=shape)
    except OSError as error:
        raise CacheError(f"{path}: {error.strerror or error}") from error


def write(folder: Path, temporary: Path, stored: Stored, arrays: Arrays) -> None:
    """Complete an entry in a workspace and move it to its place in one step.

    Raises:
        CacheError: It cannot be written.
    """
    entry = temporary / "entry"
    try:
        entry.mkdir()
        for name in NAMES:
            array, pages = np.ascontiguousarray(arrays[name]), Pages(arrays[name])
            with open(entry / name, "wb") as file:
                for start in range(0, len(array), ROWS):
                    array[start : start + ROWS].tofile(file)
                    pages.touched(array[start : start + ROWS].nbytes)
        (entry / "about.json").write_text(json.dumps(asdict(stored)), encoding="utf-8")
        if folder.exists():
            os.replace(folder, temporary / "damaged")
        os.replace(entry, folder)
    except OSError as error:
        raise CacheError(f"{folder}: {error.strerror or error}") from error


def remove_leftovers(parent: Path, age: float = 86_400) -> None:
    """Remove what writers that were killed more than ``age`` seconds ago left behind."""
    for path in parent.glob(".new-*"):
        try:
            if time.time() - path.stat().st_mtime > age:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue
