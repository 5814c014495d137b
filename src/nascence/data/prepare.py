"""From what a reader found to arrays of one size, split and measured."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nascence.data.arrays import Arrays, Pages, Stored, fingerprint, statistics
from nascence.data.copies import apart, digests, remarks
from nascence.data.decode import FRAMINGS, ColourError, Framing
from nascence.data.decoding import (
    Form,
    Progress,
    decode_part,
    judge_form,
    resize_arrays,
)
from nascence.data.errors import DataError
from nascence.data.source import ArrayImages, EncodedImages, Labels, Part, Source

MOST_LINES = 20
BLOCK = 256  # images
Allocate = Callable[[str, tuple[int, ...]], NDArray[np.uint8]]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Preparation:
    """How images become arrays: arguments of :func:`nascence.data.load`, which explains them."""

    size: int | None
    validation_fraction: float
    seed: int
    workers: int | None
    progress: Progress | None
    framing: Framing = "crop"

    def __post_init__(self) -> None:
        if self.size is not None and not 1 <= self.size <= 4096:
            raise DataError(f"size is {self.size}; allowed is 1 to 4096 pixels, or None")
        if self.framing not in FRAMINGS:
            raise DataError(f"framing is {self.framing!r}; allowed are {', '.join(FRAMINGS)}")
        if not 0 < self.validation_fraction < 1:
            raise DataError(
                f"validation_fraction is {self.validation_fraction}; it must lie between 0 and 1, "
                "both excluded"
            )
        if self.workers is not None and self.workers < 1:
            raise DataError(
                f"workers is {self.workers}; it must be at least 1, or None for all cores"
            )


@dataclass(frozen=True)
class _Pixels:
    """Decoded images, and which of them hold one."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    kept: Index


def in_memory(name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A uint8 array of ``shape``, whatever its name."""
    return np.empty(shape, np.uint8)


def prepare(
    source: Source, where: str, settings: Preparation, allocate: Allocate = in_memory
) -> tuple[Stored, Arrays]:
    """Decode, resize, split and measure a source.

    ``allocate(name, shape)`` gives the uint8 arrays that everything is put in.

    Raises:
        DataError: No image is readable, or fewer than two classes have training images.
    """
    parts: list[Part] = [source.train]
    if source.validation is not None:
        parts.append(source.validation)
    pixels, failures = _decode(parts, where, settings, allocate)
    skipped = [*source.skipped, *failures]
    train = pixels[0]
    _check_classes(train, source.class_names, where, skipped)
    if source.validation is None:
        held_in, held_out = stratified_split(
            train.labels[train.kept], settings.validation_fraction, settings.seed
        )
        skipped += _single_images(train, source.class_names)
        of = digests(train.images, train.kept)
        skipped += remarks(of, train.labels[train.kept], of[:0])
        held_in, held_out = apart(held_in, held_out, of)
        validation = replace(train, kept=train.kept[held_out])
        train = replace(train, kept=train.kept[held_in])
    else:
        validation = pixels[1]
        of, others = (digests(part.images, part.kept) for part in pixels)
        skipped += remarks(of, train.labels[train.kept], others)
    if not len(validation.kept):
        raise DataError(
            f"no image of {where} is left for validation; each class needs two images, or the "
            "validation part one that is readable: add images"
        )
    arrays: Arrays = {}
    for name, part in (("train", train), ("validation", validation)):
        arrays[f"{name}_images"] = _take(part, partial(allocate, f"{name}_images"))
        arrays[f"{name}_labels"] = part.labels[part.kept]
    mean, std = statistics(arrays["train_images"])
    stored = Stored(
        train_shape=arrays["train_images"].shape,
        validation_shape=arrays["validation_images"].shape,
        class_names=source.class_names,
        mean=mean,
        std=std,
        skipped=tuple(skipped),
        fingerprint=fingerprint(arrays, source.class_names),
    )
    return stored, arrays


def _decode(
    parts: list[Part], where: str, settings: Preparation, allocate: Allocate
) -> tuple[list[_Pixels], list[str]]:
    encoded = [part for part in parts if isinstance(part, EncodedImages)]
    if not encoded:
        arrays = [part for part in parts if isinstance(part, ArrayImages)]
        return _resize(arrays, where, settings), []
    form = judge_form(encoded, settings.size, settings.framing)
    form = form or Form((32, 32), grey=False, framing=settings.framing)
    try:
        return _decode_as(form, encoded, settings, allocate)
    except ColourError:
        return _decode_as(replace(form, grey=False), encoded, settings, allocate)


def _decode_as(
    form: Form, parts: list[EncodedImages], settings: Preparation, allocate: Allocate
) -> tuple[list[_Pixels], list[str]]:
    total = sum(len(part.labels) for part in parts)
    pixels, failures = [], []
    for number, part in enumerate(parts):
        before = sum(len(earlier.labels) for earlier in parts[:number])
        images, kept, skipped = decode_part(
            part,
            form,
            allocate=partial(allocate, f"decoded{number}"),
            workers=settings.workers,
            progress=settings.progress and partial(_shifted, settings.progress, before, total),
        )
        pixels.append(_Pixels(images, part.labels, kept))
        failures += [f"{name} {reason}" for name, reason in skipped]
    if len(failures) > MOST_LINES:
        failures = [*failures[:MOST_LINES], f"and {len(failures) - MOST_LINES} more images"]
    return pixels, failures


def _shifted(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    progress(before + done, total)


def _resize(parts: list[ArrayImages], where: str, settings: Preparation) -> list[_Pixels]:
    pixels = [
        _Pixels(
            resize_arrays(part.images, settings.size, settings.framing),
            part.labels,
            np.arange(len(part.labels)),
        )
        for part in parts
    ]
    shapes = [part.images.shape[1:] for part in pixels]
    if len(set(shapes)) > 1:
        raise DataError(
            f"training images of {where} have shape {shapes[0]} and validation images {shapes[1]}; "
            "both need one shape: pass size=, or store them alike"
        )
    return pixels


def _check_classes(train: _Pixels, names: tuple[str, ...], where: str, skipped: list[str]) -> None:
    first = f" (first: {skipped[0]})" if skipped else ""
    if not len(train.kept):
        raise DataError(
            f"none of the {len(train.labels)} images of {where} is readable{first}; at least two "
            "classes with readable images are needed"
        )
    present = np.unique(train.labels[train.kept])
    if len(present) < 2:
        raise DataError(
            f"{where} has training images of one class only, {names[present[0]]!r}{first}; at "
            "least two classes are needed: add images of another"
        )


def stratified_split(labels: Labels, fraction: float, seed: int) -> tuple[Index, Index]:
    """Indices of training and of validation images, each ascending.

    Of a class with ``n`` images, ``round(fraction * n)`` are held out, but at least one and at
    most ``n - 1``; a class with one image keeps it for training. The choice depends on the labels,
    the fraction and the seed alone.
    """
    generator = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held_out[generator.permutation(members)[:count]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _single_images(train: _Pixels, names: tuple[str, ...]) -> list[str]:
    counts = np.bincount(train.labels[train.kept], minlength=len(names))
    lines = [
        f"class {names[label]} has one image: it trains, and none is left for validation"
        for label in np.flatnonzero(counts == 1)
    ]
    return (
        lines
        if len(lines) <= MOST_LINES
        else [
            f"{len(lines)} classes have one image each: they train, and none is left for validation"
        ]
    )


def _take(
    part: _Pixels, allocate: Callable[[tuple[int, ...]], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """The rows that are kept, block by block, so that little of the array is in memory."""
    if len(part.kept) == len(part.images):
        return part.images
    result = allocate((len(part.kept), *part.images.shape[1:]))
    pages = Pages(part.images), Pages(result)
    for start in range(0, len(result), BLOCK):
        for each in pages:
            each.touched(BLOCK * result[0].nbytes)
        result[start : start + BLOCK] = part.images[part.kept[start : start + BLOCK]]
    return result
