"""Arrays in a NumPy archive."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nascence.data.errors import DataError, foreign, printable
from nascence.data.source import ArrayImages, Labels, Source, check_labels, name_classes

TRAIN = (
    ("x_train", "y_train"),
    ("train_images", "train_labels"),
    ("images", "labels"),
    ("data", "labels"),
    ("x", "y"),
)
VALIDATION = (
    ("x_val", "y_val"),
    ("x_valid", "y_valid"),
    ("x_validation", "y_validation"),
    ("val_images", "val_labels"),
    ("validation_images", "validation_labels"),
    ("x_test", "y_test"),
    ("test_images", "test_labels"),
)
LAYOUT = (
    "allowed are x_train and y_train, with x_val and y_val or x_test and y_test where held out; "
    "train_images, train_labels, val_images, val_labels; or images and labels"
)


def is_npz(path: Path) -> bool:
    """Whether this is a NumPy archive by its name."""
    return path.suffix.lower() == ".npz" and path.is_file()


def read_npz(path: Path) -> Source:
    """Images as ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)`` and one label for each.

    ``C`` is 1, 3 or 4 (transparency is laid on white); where both ends fit, the last axis is the
    channels. Values are 0 to 255, 16 bits unsigned, or floating point in [0, 1]. Class names may be
    stored as ``class_names``, an array of strings. Pickled objects are never loaded.

    Raises:
        DataError: An array is missing, of another shape or kind, or a label is out of range.
    """
    where = printable(path.name)
    # Opened here, because numpy.load leaves a damaged archive open.
    with open(path, "rb") as file:
        with foreign(f"{where} is not a NumPy archive", "write it with numpy.savez"):
            archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(
                f"{where} holds a single array; write images and labels with numpy.savez"
            )
        with archive:
            return _source(archive, where)


def _source(archive: Any, where: str) -> Source:
    keys = {name.lower(): name for name in archive.files}
    train = next((pair for pair in TRAIN if set(pair) <= set(keys)), None)
    if train is None:
        raise DataError(f"{where} holds {_listed(archive.files)}; {LAYOUT}: rename the arrays")
    held_out = next((pair for pair in VALIDATION if set(pair) <= set(keys)), None)
    names = None
    if "class_names" in keys:
        stored = _array(archive, keys["class_names"], where)
        if stored.ndim != 1 or stored.dtype.kind != "U":
            raise DataError(f"class_names of {where} must be a list of strings")
        names = tuple(printable(str(name)) for name in stored)
    images, labels = _pair(archive, keys, train, where, names)
    validation = None
    if held_out is not None:
        validation = ArrayImages(*_pair(archive, keys, held_out, where, names))
    if names is None:
        names = name_classes(labels, None if validation is None else validation.labels, where)
    origins = keys[train[0]], held_out and keys[held_out[0]]
    return Source(names, ArrayImages(images, labels), validation, origins)


def _listed(names: list[str]) -> str:
    return printable(", ".join(names))[:200] or "no arrays"


def _pair(
    archive: Any,
    keys: dict[str, str],
    pair: tuple[str, str],
    where: str,
    names: tuple[str, ...] | None,
) -> tuple[NDArray[np.uint8], Labels]:
    image_key, label_key = (keys[name] for name in pair)
    labels = check_labels(
        _array(archive, label_key, where), f"{printable(label_key)} in {where}", names
    )
    images = pixels(_array(archive, image_key, where), f"{printable(image_key)} in {where}")
    if len(images) != len(labels):
        raise DataError(
            f"{where} has {len(images)} images in {image_key} but {len(labels)} labels in "
            f"{label_key}; each image needs one label"
        )
    return images, labels


def _array(archive: Any, name: str, where: str) -> NDArray[Any]:
    shown = f"{printable(name)} in {where}"
    with foreign(f"{shown} is damaged", "write it again"):
        try:
            array = archive[name]
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise DataError(
                f"{shown} holds pickled Python objects, which are never loaded; allowed are plain "
                "numbers: store images as one uint8 array of one shape"
            ) from error
    if not isinstance(array, np.ndarray):  # NumPy gives the bytes of what is no array
        raise DataError(f"{shown} is not an array; write images and labels with numpy.savez")
    return array


def pixels(images: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Images of any accepted shape and kind as uint8 ``(N, C, H, W)``, ``C`` 1 or 3.

    Raises:
        DataError: The images have another shape or kind, or there are none.
    """
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[3] in (1, 3, 4):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3, 4) or 0 in images.shape:
        raise DataError(
            f"{where} has shape {images.shape}; allowed are (N, H, W), (N, H, W, C) and "
            "(N, C, H, W) with 1, 3 or 4 channels and at least one image"
        )
    images = np.ascontiguousarray(_eight_bits(images, where))
    if images.shape[1] == 4:
        alpha = images[:, 3:].astype(np.uint16)
        images = ((images[:, :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return images


def _eight_bits(images: NDArray[Any], where: str) -> NDArray[np.uint8]:
    if images.dtype == np.uint8:
        return images
    if images.dtype == bool:
        return images * np.uint8(255)
    if images.dtype.kind not in "iuf":
        raise DataError(f"{where} is {images.dtype}; allowed are uint8, or floats from 0 to 1")
    low, high = images.min(), images.max()
    if images.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.round(images * images.dtype.type(255)).astype(np.uint8)
    if images.dtype == np.uint16:
        return ((images.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if images.dtype.kind in "iu" and low >= 0 and high <= 255:
        return images.astype(np.uint8)
    raise DataError(
        f"{where} is {images.dtype} with values {low} to {high}; allowed are uint8, whole numbers "
        "from 0 to 255, or floats from 0 to 1: scale the values"
    )
