"""Load a data set from wherever it lies."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from nascence.data.arrays import Pages
from nascence.data.cache import default_folder, prepared
from nascence.data.cifar import is_cifar, read_cifar
from nascence.data.dataset import Dataset, Split
from nascence.data.decode import Framing
from nascence.data.decoding import Progress
from nascence.data.errors import DataError, MissingDataError, printable
from nascence.data.folder import read_folder
from nascence.data.idx import is_idx, read_idx
from nascence.data.npz import is_npz, read_npz
from nascence.data.parquet import is_parquet, read_parquet
from nascence.data.prepare import Preparation
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
    framing: Framing = "crop",
    label_depth: int | None = None,
) -> Dataset:
    """Load images and labels, decode them on all cores, and split them.

    Args:
        source: A folder of class folders (with or without ``train`` and ``validation`` above
            them, see :mod:`nascence.data.layout`); a parquet file or a folder of them in the
            Hugging Face layout; ``.npz``; the
            files of CIFAR-10, CIFAR-100, MNIST and its kin as their authors ship them; or
            ``"cifar10-sample"``, 5,000 and 1,000 images that come with the package.
        size: Side in pixels; images become squares of it, as ``framing`` says.
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
        framing: How images of another shape come to that size: the largest centred ``"crop"`` of
            its shape, the whole image ``"squash"``-ed, or ``"pad"``-ded with black borders.
        label_depth: Level of the folders that are classes, from 1, in a folder of folders; see
            :func:`nascence.data.folder.read_folder`.

    Images become RGB, or keep one channel if all of them are grey. An image that cannot be used
    is skipped, which ``Dataset.skipped`` says.

    Raises:
        DataError: The source cannot be used; the one-line message says what to do.
        MissingDataError: There is nothing at that path (also a ``FileNotFoundError``).
    """
    settings = Preparation(size, validation_fraction, seed, workers, progress, framing)
    folder = None if cache is False else Path(cache) if cache else default_folder()
    try:
        found = read_source(source, label_depth=label_depth)
        reading = _reading(found, validation_fraction)
        name = printable(source)
        stored, arrays = prepared(found, name, settings, folder)
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{printable(source)} cannot be read ({error.strerror or error}); check its path and "
            "permissions"
        ) from error
    tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    return Dataset(
        name=name,
        train=Split(
            tensors["train_images"], tensors["train_labels"], Pages(arrays["train_images"])
        ),
        validation=Split(tensors["validation_images"], tensors["validation_labels"]),
        class_names=stored.class_names,
        mean=stored.mean,
        std=stored.std,
        skipped=stored.skipped,
        fingerprint=stored.fingerprint,
        reading=reading,
    )


def read_source(source: str | os.PathLike[str], *, label_depth: int | None = None) -> Source:
    """Find the images and labels of a source, without decoding any; see :func:`load`.

    Raises:
        DataError: The source cannot be used.
        MissingDataError: There is nothing at that path.
    """
    if label_depth is not None and not (source != NAME and Path(source).is_dir()):
        raise DataError(f"label_depth is for folders of images, and {printable(source)} is none")
    if source == NAME:
        return read_sample()
    path = Path(source)
    if not path.exists():
        raise MissingDataError(f"there is nothing at {printable(path)}; {ALLOWED}")
    for recognises, reader in READERS:
        if recognises(path):
            return reader(path)
    if path.is_dir():
        return read_folder(path, label_depth=label_depth)
    raise DataError(f"{printable(path)} is of no known kind; {ALLOWED}")


READERS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Source]], ...] = (
    (is_parquet, read_parquet),
    (is_npz, read_npz),
    (is_cifar, read_cifar),
    (is_idx, read_idx),
)


def _reading(found: Source, fraction: float) -> str:
    train, validation = found.origins
    held_out = validation or f"{100 * fraction:.3g} % of each class"
    return f"{len(found.class_names)} classes from {train}, validated on {held_out}"
