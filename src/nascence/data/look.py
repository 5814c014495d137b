"""A look at some photos of a source, before all of them are decoded at one size."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nascence.data.decode import (
    Framing,
    UnusableImageError,
    fit,
    is_grey,
    open_image,
    read_bytes,
    reduced,
)
from nascence.data.errors import DataError, printable
from nascence.data.load import read_source
from nascence.data.source import ArrayImages, Item, Labels, Part, evenly

MOST = 1500


@dataclass(frozen=True, eq=False)
class Look:
    """Some photos of a source and what is known of all.

    Attributes:
        photos: Training photos spread evenly over the source, whole, mode ``L`` or ``RGB``.
        labels: Their classes, int64 ``(len(photos),)``.
        sizes: ``(height, width)`` that they have in their files.
        grey: Whether all of them are grey.
        train: Number of training images, what will be held out included.
        held_out: Number of images of a validation part; 0 where there is none.
        classes: Number of classes.
        seconds: That one takes to be decoded.
    """

    photos: tuple[Image.Image, ...]
    labels: Labels
    sizes: tuple[tuple[int, int], ...]
    grey: bool
    train: int
    held_out: int
    classes: int
    seconds: float

    def images(self, side: int, framing: Framing) -> NDArray[np.uint8]:
        """The photos as uint8 ``(N, C, side, side)``."""
        mode = "L" if self.grey else "RGB"
        shape = (len(self.photos), 1 if self.grey else 3, side, side)
        result = np.empty(shape, np.uint8)
        for row, photo in enumerate(self.photos):
            pixels = np.asarray(fit(photo.convert(mode), (side, side), framing))
            result[row] = pixels[None] if self.grey else pixels.transpose(2, 0, 1)
        return result


def look(
    source: str | os.PathLike[str],
    *,
    side: int,
    most: int = MOST,
    seconds: float | None = None,
    label_depth: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Look:
    """Decode some training photos of a source.

    Args:
        source: What :func:`nascence.data.load` takes.
        side: Pixels of the shorter side that photos are reduced to, at most.
        most: Number of photos.
        seconds: Time after which no further photo is decoded; at least 16 are.
        label_depth: As for :func:`nascence.data.load`.
        progress: Called with the share of the photos that are decoded.

    Raises:
        DataError: The source cannot be used, or none of the photos is readable.
    """
    found = read_source(source, label_depth=label_depth)
    count = len(found.train.labels)
    # In no order, so that a look that is cut short is spread over the source as well.
    rows = np.random.default_rng(0).permutation(evenly(count, most))
    seen: list[tuple[int, Image.Image, tuple[int, int], bool]] = []
    failures: list[str] = []
    begun = time.perf_counter()
    for number, (row, item) in enumerate(_items(found.train, rows)):
        if seconds is not None and number >= 16 and time.perf_counter() - begun > seconds:
            break
        try:
            image = item if isinstance(item, Image.Image) else open_image(read_bytes(item.content))
            photo = image if isinstance(item, Image.Image) else reduced(item.content, side)
            seen.append((row, photo, (image.height, image.width), is_grey(image)))
        except UnusableImageError as error:
            failures.append(f"{getattr(item, 'name', 'it')} {error}")
        if progress is not None:
            progress(min((number + 1) / len(rows), 1.0))
    if not seen:
        raise DataError(
            f"none of the {count} images of {printable(source)} is readable"
            f"{f' (first: {failures[0]})' if failures else ''}; at least two classes with readable "
            "images are needed"
        )
    kept, photos, sizes, grey = zip(*seen, strict=True)
    return Look(
        photos=photos,
        labels=found.train.labels[list(kept)],
        sizes=sizes,
        grey=all(grey),
        train=count,
        held_out=0 if found.validation is None else len(found.validation.labels),
        classes=len(found.class_names),
        seconds=(time.perf_counter() - begun) / len(photos),
    )


def _items(part: Part, rows: NDArray[np.intp]) -> Iterator[tuple[int, Item | Image.Image]]:
    """What lies at ``rows``, in that order where all is at hand: encoded, or as an image."""
    if isinstance(part, ArrayImages):
        for row in rows.tolist():
            pixels = part.images[row]
            if len(pixels) == 3:
                yield row, Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
            else:  # what has neither one nor three channels is looked at as grey
                yield row, Image.fromarray(np.ascontiguousarray(pixels[0]))
        return
    start = 0
    for block in part.blocks():
        end = start + len(block)
        for row in rows[(rows >= start) & (rows < end)].tolist():
            yield row, block[row - start]
        start = end
