"""MNIST, Fashion-MNIST, KMNIST, EMNIST as their authors ship them: the IDX format."""

import gzip
import re
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nascence.data.errors import DataError, foreign, printable
from nascence.data.source import ArrayImages, Labels, Source, check_labels, name_classes

FILE = re.compile(r"(?P<stem>.*?)(?P<split>train|t10k|test)-images[.-]idx3-ubyte(\.gz)?$")
FOLDERS = ("raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "EMNIST/raw")
MOST_BYTES = 1 << 32


def is_idx(path: Path) -> bool:
    """Whether this is a file of training images by its name, or a folder that holds one."""
    if path.is_file():
        return FILE.match(path.name) is not None
    return path.is_dir() and bool(_training_files(path))


def _training_files(folder: Path) -> list[Path]:
    for place in (folder, *(folder / name for name in FOLDERS)):
        if place.is_dir():
            found = [path for path in sorted(place.iterdir()) if _split_of(path.name) == "train"]
            if found:
                return found
    return []


def _split_of(name: str) -> str | None:
    match = FILE.match(name)
    return match["split"] if match else None


def read_idx(path: Path) -> Source:
    """Read images and labels from files in one place, compressed or not, named by their authors.

    A folder may hold one data set; of several (as EMNIST has), name the file of training images.
    ``t10k`` or ``test`` images are taken for validation if they are there. EMNIST stores its images
    lying on their side; they are turned upright. Labels that count from 1 keep their numbers as
    names.

    Raises:
        DataError: A file is missing, not IDX, or shorter or longer than its header says.
    """
    if path.is_dir():
        files = _training_files(path)
        stems = sorted({_stem(file) for file in files})
        if len(stems) > 1:
            raise DataError(
                f"{printable(path)} holds {len(stems)} data sets ({', '.join(stems)[:200]}); pass "
                "the file of training images of one of them"
            )
        path = files[0]
    if _split_of(path.name) != "train":
        raise DataError(
            f"{printable(path.name)} has no training images; pass the file "
            f"{_stem(path)}train-images-idx3-ubyte or its folder"
        )
    train = _read_split(path)
    tests = [file for split in ("t10k", "test") if (file := _sibling(path, split, "images"))]
    test = _read_split(tests[0]) if tests else None
    where = printable(path.name)
    names = name_classes(train[1] - train[1].min(), None, where)
    first = int(train[1].min())
    if first > 1:
        raise DataError(
            f"the smallest label of {where} is {first}; labels must count from 0 or from 1"
        )
    names = tuple(str(first + label) for label in range(len(names)))
    validation = None
    if test is not None:
        labels = check_labels(test[1] - first, printable(tests[0].name), names)
        validation = ArrayImages(test[0], labels)
    origins = where, printable(tests[0].name) if tests else None
    return Source(names, ArrayImages(train[0], train[1] - first), validation, origins)


def _stem(path: Path) -> str:
    match = FILE.match(path.name)
    return printable(match["stem"]) if match else ""


def _sibling(path: Path, split: str, what: str) -> Path | None:
    """The file of images or labels of a split beside the file of training images."""
    match = FILE.match(path.name)
    stem = match["stem"] if match else ""
    rank = 3 if what == "images" else 1
    for joint in ("-", "."):
        for suffix in ("", ".gz"):
            file = path.parent / f"{stem}{split}-{what}{joint}idx{rank}-ubyte{suffix}"
            if file.is_file():
                return file
    return None


def _read_split(path: Path) -> tuple[NDArray[np.uint8], Labels]:
    images = read_array(path, 3)
    labels_path = _sibling(path, _split_of(path.name) or "", "labels")
    if labels_path is None:
        wanted = path.name.replace("images", "labels").replace("idx3", "idx1")
        raise DataError(f"{printable(path)} lacks its labels; put {printable(wanted)} beside it")
    raw = read_array(labels_path, 1)
    if len(images) != len(raw) or not len(raw):
        raise DataError(
            f"{printable(path.name)} has {len(images)} images but {printable(labels_path.name)} "
            f"{len(raw)} labels; each image needs one label, and there must be some"
        )
    if path.name.startswith("emnist"):
        images = images.transpose(0, 2, 1)
    labels = check_labels(raw, printable(labels_path.name), None)
    return np.ascontiguousarray(images[:, None]), labels


def read_array(path: Path, rank: int) -> NDArray[np.uint8]:
    """An IDX file of bytes: zero, zero, 8 for unsigned bytes, the rank, the shape, values.

    Raises:
        DataError: The header is another one, or the length is not what it says.
    """
    where = printable(path)
    opener = gzip.open if path.name.endswith(".gz") else open
    damaged = f"{where} is damaged or no gzip file"
    with foreign(damaged, "download it again"), opener(path, "rb") as file:
        header = file.read(4 + 4 * rank)
        if len(header) < 4 + 4 * rank or header[:4] != bytes((0, 0, 8, rank)):
            raise DataError(
                f"{where} starts with {header[:4].hex() or 'nothing'}; an IDX file of bytes "
                f"with {rank} dimensions starts with 0000080{rank}: download it again"
            )
        shape = struct.unpack(f">{rank}I", header[4:])
        size = int(np.prod(shape, dtype=object))
        data = file.read(min(size, MOST_BYTES) + 1)
    if len(data) != size or 0 in shape[1:]:
        raise DataError(
            f"{where} says {' x '.join(map(str, shape))} but holds {len(data)} values"
            f"{' or more' if len(data) > size else ''}; download it again"
        )
    return np.frombuffer(bytearray(data), np.uint8).reshape(shape)
