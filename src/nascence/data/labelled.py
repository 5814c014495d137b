"""Labelled images in the form that a network takes, to measure it on them."""

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nascence.data.decoding import Form, Progress, resize_arrays
from nascence.data.errors import DataError, printable
from nascence.data.grey import as_grey, decode_images
from nascence.data.load import read_source
from nascence.data.source import ArrayImages, Labels


@dataclass(frozen=True)
class Labelled:
    """Images of one form, and their labels.

    Attributes:
        images: uint8 ``(N, C, H, W)``.
        labels: int64 ``(N,)``.
        class_names: In the order of the labels.
        origin: Which images of the source these are, in words: ``"val/"``.
        skipped: One line for each image that cannot be read.
    """

    images: NDArray[np.uint8]
    labels: Labels
    class_names: tuple[str, ...]
    origin: str
    skipped: tuple[str, ...]


def read_labelled(
    source: str | os.PathLike[str],
    form: Form,
    *,
    label_depth: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Labelled:
    """Read the validation or test images of a data set, or all of them if it has no such part.

    Args:
        source: As for :func:`nascence.data.load`.
        form: Size and channels of the result; colour becomes grey and grey becomes colour.
        label_depth: As for :func:`nascence.data.load`.
        workers: Threads that decode.
        progress: Called with the number of images decoded and their total.

    Raises:
        DataError: The source cannot be used, or none of its images can be read.
        MissingDataError: There is nothing at that path.
    """
    found = read_source(source, label_depth=label_depth)
    held_out = found.validation is not None
    part = found.validation if found.validation is not None else found.train
    if isinstance(part, ArrayImages):
        images, kept = _conformed(part.images, form), np.arange(len(part.labels))
        failures: list[tuple[str, str]] = []
    else:
        images, kept, failures = decode_images(part, form, workers=workers, progress=progress)
    skipped = tuple(f"{name} {reason}" for name, reason in failures)
    if not len(kept):
        first = f" (first: {skipped[0]})" if skipped else ""
        raise DataError(
            f"none of the {len(part.labels)} images of {printable(source)} can be read{first}"
        )
    return Labelled(
        images=images if len(kept) == len(images) else images[kept],
        labels=part.labels[kept],
        class_names=found.class_names,
        origin=(found.origins[1] or "") if held_out else found.origins[0],
        skipped=skipped,
    )


def _conformed(images: NDArray[np.uint8], form: Form) -> NDArray[np.uint8]:
    """Images ``(N, C, H, W)`` that are stored as arrays, in a form."""
    if images.shape[2:] != form.size:
        if form.size[0] != form.size[1]:
            raise DataError(
                f"the images are {images.shape[2]}x{images.shape[3]} pixels and the network takes "
                f"{form.size[0]}x{form.size[1]}; store them in that size"
            )
        images = resize_arrays(images, form.size[0], form.framing)
    if form.grey and images.shape[1] == 3:
        return as_grey(images)
    return images if form.grey or images.shape[1] == 3 else np.repeat(images, 3, axis=1)
