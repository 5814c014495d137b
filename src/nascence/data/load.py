"""Load a data set from wherever it lies."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from nascence.data import cache as store
from nascence.data.cifar import is_cifar, read_cifar
from nascence.data.dataset import Dataset, Split
from nascence.data.decoding import Progress
from nascence.data.errors import DataError, MissingDataError, printable
from nascence.data.folder import is_folder, read_folder
from nascence.data.idx import is_idx, read_idx
from nascence.data.npz import is_npz, read_npz
from nascence.data.parquet import is_parquet, read_parquet
from nascence.data.prepare import Preparation, prepare
from nascence.data.sample import NAME, read_sample
from nascence.data.source import Source

ALLOWED = (
    "allowed are a folder of class folders, .parquet (a file or a folder), .npz, the CIFAR and "
    f"MNIST files as their authors ship them, and {NAME!r}"
)


def load(
    source: str | os.PathLike[str] = NAME,
    *,
    size: int | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
    cache: str | os.PathLike[str] | Literal[False] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Load images and labels, decode them on all cores, and split them.

    Args:
        source: A folder of class folders (with or without ``train`` and ``validation`` above
            them, see :mod:`nascence.data.layout`); a parquet file or a folder of them in the
            Hugging Face layout; ``.npz``; the
            files of CIFAR-10, CIFAR-100, MNIST and its kin as their authors ship them; or
            ``"cifar10-sample"``, 5,000 and 1,000 images that come with the package.
        size: Side in pixels; images are resized and cropped at the centre to a square of it.
            ``None`` keeps images that are all of one size of at most 64 pixels, and otherwise
            takes the largest of 32, 48, 64, 96, 128, 160, 192 and 224 that is not above the median
            of the shorter sides (judged from up to 1,000 images).
        validation_fraction: Share of each class that is held out where the source has no
            validation (or else test) images of its own, between 0 and 1, both excluded.
        seed: Chooses which images are held out.
        cache: Folder for decoded images; ``None`` is ``$NASCENCE_CACHE`` or else the user's cache
            folder, ``False`` keeps nothing.
        workers: Threads that decode; ``None`` is one for each core, or one for files below four
            kilobytes, which more threads do not make faster.
        progress: Called with the number of images decoded and their total.

    Images become RGB, or keep one channel if all of them are grey. An image that cannot be used
    is skipped, which ``Dataset.skipped`` says.

    Raises:
        DataError: The source cannot be used; the one-line message says what to do.
        MissingDataError: There is nothing at that path (also a ``FileNotFoundError``).
    """
    settings = Preparation(size, validation_fraction, seed, workers, progress)
    try:
        found = read_source(source)
        name = printable(source)
        folder = None if cache is False else Path(cache) if cache else store.default_folder()
        reading = _reading(found, validation_fraction)
        if found.files is None or folder is None:
            return _dataset(name, reading, *prepare(found, name, settings, _in_memory))
        chosen = (size, validation_fraction, seed) if found.validation is None else (size,)
        entry = folder / "data" / store.key(found.files, found.class_names, found.skipped, *chosen)
        return _dataset(name, reading, *_through_cache(entry, found, name, settings))
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{printable(source)} cannot be read ({error.strerror or error}); check its path and "
            "permissions"
        ) from error


def read_source(source: str | os.PathLike[str]) -> Source:
    """Read what a data set consists of, as :func:`load` does, without decoding its images.

    Raises:
        DataError: The source cannot be used.
        MissingDataError: There is nothing at that path.
    """
    if source == NAME:
        return read_sample()
    path = Path(source)
    if not path.exists():
        raise MissingDataError(f"there is nothing at {printable(path)}; {ALLOWED}")
    for recognises, reader in READERS:
        if recognises(path):
            return reader(path)
    raise DataError(f"{printable(path)} is of no known kind; {ALLOWED}")


READERS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Source]], ...] = (
    (is_parquet, read_parquet),
    (is_npz, read_npz),
    (is_cifar, read_cifar),
    (is_idx, read_idx),
    (is_folder, read_folder),
)


def _in_memory(name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)


def _through_cache(
    entry: Path, found: Source, name: str, settings: Preparation
) -> tuple[store.Stored, store.Arrays]:
    """What an entry holds, made first where it is absent or damaged."""
    if (hit := store.read(entry)) is not None:
        return hit
    try:
        with store.workspace(entry) as folder:
            stored, arrays = prepare(
                found, name, settings, lambda part, shape: store.allocate(folder / part, shape)
            )
            store.write(entry, folder, arrays, stored)
    except store.CacheError as error:
        if (hit := store.read(entry)) is not None:  # another process was faster
            return hit
        warnings.warn(f"decoded images are not kept, the cache fails: {error}", stacklevel=3)
        return prepare(found, name, settings, _in_memory)
    return store.read(entry) or prepare(found, name, settings, _in_memory)


def _reading(found: Source, fraction: float) -> str:
    train, validation = found.origins
    held_out = validation or f"{100 * fraction:.3g} % of each class"
    return f"{len(found.class_names)} classes from {train}, validated on {held_out}"


def _dataset(name: str, reading: str, stored: store.Stored, arrays: store.Arrays) -> Dataset:
    tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    return Dataset(
        name=name,
        train=Split(tensors["train_images"], tensors["train_labels"]),
        validation=Split(tensors["validation_images"], tensors["validation_labels"]),
        class_names=stored.class_names,
        mean=stored.mean,
        std=stored.std,
        skipped=stored.skipped,
        fingerprint=stored.fingerprint,
        reading=reading,
    )
