"""Classify image files, decoded exactly as in training."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nascence.data.errors import DataError, MissingDataError, printable
from nascence.data.grey import decode_images
from nascence.data.layout import IMAGE_SUFFIXES, is_image_name, walk
from nascence.data.source import EncodedImages, Item
from nascence.inference.classifier import Classifier

BLOCK = 512
"""Images that are held in memory at once."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of one image.

    Attributes:
        image: Its path.
        probabilities: float32 ``(classes,)``; None if the image cannot be read.
        problem: Why it cannot be read; empty if it can.
    """

    image: str
    probabilities: NDArray[np.float32] | None
    problem: str = ""

    def top(self, count: int) -> list[tuple[int, float]]:
        """The most probable classes with their probabilities, the best first."""
        if self.probabilities is None:
            return []
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(int(index), float(self.probabilities[index])) for index in order]


def find_images(places: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """List image files: each file that is named, and those at any depth of a folder, sorted.

    Args:
        places: Files and folders.

    Raises:
        MissingDataError: There is nothing at one of them.
        DataError: A folder holds no image, or there is no place at all.
    """
    found: list[Path] = []
    for place in map(Path, places):
        if not place.is_dir():
            if not place.exists():
                raise MissingDataError(f"there is nothing at {printable(place)}")
            found.append(place)
            continue
        files = sorted(path for path in walk(place) if is_image_name(path.name))
        if not files:
            allowed = " ".join(sorted(IMAGE_SUFFIXES))
            raise DataError(f"no image in {printable(place)}; allowed are {allowed}")
        found += files
    if not found:
        raise DataError("no image was given; give files, folders, or - for a list on stdin")
    return found


def classify(
    classifier: Classifier,
    files: Iterable[Path],
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Prediction]:
    """Classify files in their order; one that cannot be read is named, the others go on.

    Args:
        classifier: The network.
        files: Image files.
        workers: Threads that decode; one for each core if None, or one for small files.
        progress: Called with the number of images that are done.

    Raises:
        ClassifierError: The network does not run.
    """
    remaining, done = iter(files), 0
    while block := list(islice(remaining, BLOCK)):
        items = [Item(str(number), path) for number, path in enumerate(block)]
        part = EncodedImages(
            labels=np.zeros(len(items), np.int64),
            blocks=lambda items=items: iter([items]),  # type: ignore[misc]
            probe=lambda items=items: items,  # type: ignore[misc]
        )
        images, kept, failures = decode_images(part, classifier.form, workers=workers)
        found = classifier.probabilities(images[kept])
        rows = dict(zip(kept.tolist(), found, strict=True))
        problems = {int(name): reason for name, reason in failures}
        for number, path in enumerate(block):
            yield Prediction(str(path), rows.get(number), problems.get(number, ""))
        done += len(block)
        if progress is not None:
            progress(done)
