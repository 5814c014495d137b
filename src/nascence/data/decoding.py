"""Decode many images on all cores into one array."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nascence.data.arrays import Pages
from nascence.data.decode import (
    Framing,
    UnusableImageError,
    choose_size,
    decode,
    fit,
    is_grey,
    open_image,
    read_bytes,
)
from nascence.data.jpeg import SharedHeaders
from nascence.data.source import EncodedImages, Item

Progress = Callable[[int, int], None]
Allocate = Callable[[tuple[int, ...]], NDArray[np.uint8]]
CHUNK = 64
SMALL = 4096  # bytes


@dataclass(frozen=True)
class Form:
    """The size and channels that every image is converted to, and how it is framed."""

    size: tuple[int, int]
    grey: bool
    framing: Framing = "crop"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""
        return (1 if self.grey else 3, *self.size)


def judge_form(
    parts: Sequence[EncodedImages], size: int | None, framing: Framing = "crop"
) -> Form | None:
    """Size and channels, from the headers of up to 1,000 images of each part.

    ``None`` when none of them is readable. One channel is kept where all images have one.
    """
    sizes, grey = [], True
    for part in parts:
        for item in part.probe():
            try:
                image = open_image(read_bytes(item.content))
            except UnusableImageError:
                continue
            sizes.append((image.height, image.width))
            grey = grey and is_grey(image)
    if not sizes:
        return None
    return Form(choose_size(sizes) if size is None else (size, size), grey, framing)


def decode_part(
    part: EncodedImages,
    form: Form,
    *,
    allocate: Allocate,
    workers: int | None,
    progress: Progress | None,
) -> tuple[NDArray[np.uint8], NDArray[np.intp], list[tuple[str, str]]]:
    """Decode all images of a part.

    Threads do it, because Pillow decodes and resamples outside the interpreter's lock. For files
    of a few kilobytes, most of the time is spent inside it: they are decoded in one thread unless
    ``workers`` says otherwise.

    Returns:
        images: uint8 ``(N, C, H, W)`` from ``allocate``; rows of skipped images are undefined.
        kept: Indices of the rows that hold an image, ascending.
        skipped: Name and reason of each image that could not be decoded.

    Raises:
        ColourError: ``form`` is grey and an image has colour.
    """
    total = len(part.labels)
    images = allocate((total, *form.shape))
    kept = np.ones(total, bool)
    skipped: list[tuple[str, str]] = []
    headers = SharedHeaders()
    stopped = threading.Event()

    def run(start: int, chunk: list[Item]) -> list[tuple[int, str, str]]:
        failed = []
        for row, item in enumerate(chunk, start):
            if stopped.is_set():
                break
            try:
                pixels = decode(
                    item.content, form.size, grey=form.grey, framing=form.framing, headers=headers
                )
            except UnusableImageError as error:
                failed.append((row, item.name, str(error)))
                continue
            images[row] = pixels[None] if form.grey else pixels.transpose(2, 0, 1)
        return failed

    chunks = _chunks(part.blocks())
    start = list(islice(chunks, 1))
    count = workers or (1 if start and _is_small(start[0][1]) else _cores())
    chunks = chain(start, chunks)
    done, pages = 0, Pages(images)
    with ThreadPoolExecutor(count) as pool, _told(stopped):
        # Only as many blocks as keep the workers busy are held in memory.
        while batch := list(islice(chunks, 4 * count)):
            for failed, (_, chunk) in zip(
                pool.map(run, *zip(*batch, strict=True)), batch, strict=True
            ):
                for row, name, reason in failed:
                    kept[row] = False
                    skipped.append((name, reason))
                done += len(chunk)
                pages.touched(len(chunk) * images[0].nbytes)
                if progress is not None:
                    progress(done, total)
    return images, np.flatnonzero(kept), skipped


@contextmanager
def _told(stopped: threading.Event) -> Iterator[None]:
    """Set ``stopped`` at the end of the block, so that threads do not finish what was begun."""
    try:
        yield
    finally:
        stopped.set()


def _is_small(chunk: list[Item]) -> bool:
    sizes = []
    for item in chunk:
        with suppress(UnusableImageError):
            sizes.append(len(read_bytes(item.content)))
    return bool(sizes) and float(np.median(sizes)) < SMALL


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _chunks(blocks: Iterator[list[Item]]) -> Iterator[tuple[int, list[Item]]]:
    start = 0
    for block in blocks:
        for offset in range(0, len(block), CHUNK):
            chunk = block[offset : offset + CHUNK]
            yield start, chunk
            start += len(chunk)


def resize_arrays(
    images: NDArray[np.uint8], size: int | None, framing: Framing = "crop"
) -> NDArray[np.uint8]:
    """Resize decoded images ``(N, C, H, W)`` to the size that encoded ones would get."""
    height, width = images.shape[2:]
    wanted = choose_size([(height, width)]) if size is None else (size, size)
    if wanted == (height, width):
        return images
    result = np.empty((*images.shape[:2], *wanted), np.uint8)
    for row in np.ndindex(images.shape[:2]):
        result[row] = np.asarray(fit(Image.fromarray(images[row]), wanted, framing))
    return result
