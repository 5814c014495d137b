"""CIFAR-10 and CIFAR-100 as their author ships them, binary or Python, unpacked or not."""

import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nascence.data.errors import DataError, foreign, printable
from nascence.data.pickled import PickleError, read_pickled
from nascence.data.source import ArrayImages, Source, check_labels

PIXELS = 3 * 32 * 32
MOST_BYTES = 1 << 28  # the largest file of either set has 190 MB
FOLDERS = (
    "cifar-10-batches-bin",
    "cifar-10-batches-py",
    "cifar-100-binary",
    "cifar-100-python",
)
Read = Callable[[str], bytes]


class _Kind(NamedTuple):
    """One of the four forms: its files, and where its labels and names are."""

    train: tuple[str, ...]
    test: str
    names: str
    classes: int
    label_bytes: int  # before the pixels of a binary record; 0: pickled
    label_key: bytes = b""
    names_key: bytes = b""


_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
KINDS = (
    _Kind(tuple(f"{n}.bin" for n in _BATCHES), "test_batch.bin", "batches.meta.txt", 10, 1),
    _Kind(("train.bin",), "test.bin", "fine_label_names.txt", 100, 2),
    _Kind(_BATCHES, "test_batch", "batches.meta", 10, 0, b"labels", b"label_names"),
    _Kind(("train",), "test", "meta", 100, 0, b"fine_labels", b"fine_label_names"),
)


def is_cifar(path: Path) -> bool:
    """Whether this is an archive by its name, or a folder that holds CIFAR files."""
    if path.is_file():
        return path.name.lower().endswith((".tar.gz", ".tgz", ".tar"))
    return path.is_dir() and _folder(path) is not None


def _folder(path: Path) -> Path | None:
    for folder in (path, *(path / name for name in FOLDERS)):
        if any((folder / file).is_file() for kind in KINDS for file in kind.train):
            return folder
    return None


def read_cifar(path: Path) -> Source:
    """CIFAR-10 or CIFAR-100 from an archive or the folder that it unpacks to.

    CIFAR-100 has its 100 fine labels. The test images are taken for validation if they are there.
    The Python form is pickled; it is read without running any of it (:mod:`nascence.data.pickled`).

    Raises:
        DataError: Files are missing or damaged, or hold more than plain data.
    """
    where = printable(path)
    if path.is_dir():
        folder = _folder(path) or path
        return _source({file.name for file in folder.iterdir()}, _reader(folder), where)
    unreadable = f"{where} is not a readable archive"
    with foreign(unreadable, "download it again"), tarfile.open(path) as archive:
        members = {
            PurePosixPath(member.name).name: member
            for member in archive.getmembers()
            if member.isfile() and member.size <= MOST_BYTES
        }

        def read(name: str) -> bytes:
            file = archive.extractfile(members[name])
            return file.read() if file else b""

        return _source(set(members), read, where)


def _reader(folder: Path) -> Read:
    def read(name: str) -> bytes:
        if (folder / name).stat().st_size > MOST_BYTES:
            raise DataError(
                f"{printable(name)} has more than {MOST_BYTES:,} bytes, too many for a CIFAR file; "
                "download it again"
            )
        return (folder / name).read_bytes()

    return read


def _source(names: set[str], read: Read, where: str) -> Source:
    kind = next((kind for kind in KINDS if set(kind.train) & names), None)
    if kind is None:
        raise DataError(
            f"{where} holds no CIFAR files; allowed are the archives of CIFAR-10 and CIFAR-100 as "
            "their author ships them, or a folder of one of them: unpack other archives first"
        )
    missing = [name for name in kind.train if name not in names]
    present = [name for name in kind.train if name in names]
    train = _join([_batch(read, name, kind, where) for name in present], where)
    test = None
    if kind.test in names:
        test = _join([_batch(read, kind.test, kind, where)], where)
    class_names = _class_names(read, kind, where) if kind.names in names else None
    class_names = class_names or tuple(str(label) for label in range(kind.classes))
    skipped = tuple(f"{name} is missing from {where}" for name in missing)
    origins = "its training batches", None if test is None else "its test images"
    return Source(class_names, train, test, origins, skipped)


def _join(parts: list[tuple[NDArray[np.uint8], NDArray[np.int64]]], where: str) -> ArrayImages:
    images = np.concatenate([images for images, _ in parts])
    return ArrayImages(images, np.concatenate([labels for _, labels in parts]))


def _batch(
    read: Read, name: str, kind: _Kind, where: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    place = f"{name} of {where}"
    allowed = tuple(str(label) for label in range(kind.classes))
    if kind.label_bytes:
        size = kind.label_bytes + PIXELS
        data = np.frombuffer(read(name), np.uint8)
        if not len(data) or len(data) % size:
            raise DataError(
                f"{place} has {len(data)} bytes; it must be a multiple of {size}, one record for "
                "each image: download it again"
            )
        records = data.reshape(-1, size)
        labels = check_labels(records[:, kind.label_bytes - 1], place, allowed)
        return _images(records[:, kind.label_bytes :]), labels
    batch = _unpickled(read, name, where)
    images, raw = batch.get(b"data"), batch.get(kind.label_key)
    shape = getattr(images, "shape", None)
    whole = isinstance(raw, list) and all(type(label) is int for label in raw)
    if shape is None or not whole or shape != (len(raw or ()), PIXELS) or not raw:
        raise DataError(
            f"{place} has data of shape {shape} and labels that do not match; allowed is one row "
            f"of {PIXELS} bytes and one whole number for each image: download it again"
        )
    return _images(np.asarray(images)), check_labels(np.array(raw), place, allowed)


def _images(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(rows).reshape(-1, 3, 32, 32)


def _unpickled(read: Read, name: str, where: str) -> dict[bytes, Any]:
    try:
        value = read_pickled(read(name))
    except PickleError as error:
        raise DataError(
            f"{name} of {where} is not read: {error}; nothing in a pickle is run: take the binary "
            "version of the data set"
        ) from error
    if not isinstance(value, dict):
        raise DataError(f"{name} of {where} holds no dictionary; download it again")
    return {key.encode() if isinstance(key, str) else key: item for key, item in value.items()}


def _class_names(read: Read, kind: _Kind, where: str) -> tuple[str, ...] | None:
    """Names from the file beside the batches, if there are as many as classes."""
    if kind.label_bytes:
        found: Any = read(kind.names).decode("utf-8", "replace").split()
    else:
        found = _unpickled(read, kind.names, where).get(kind.names_key)
    if not isinstance(found, list) or len(found) != kind.classes:
        return None
    return tuple(
        printable(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name))
        for name in found
    )
