"""Many images decoded at once land in their rows."""

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nascence.data.decode import ColourError
from nascence.data.decoding import Form, decode_part, judge_form, resize_arrays
from nascence.data.source import EncodedImages, Item

Paint = Callable[..., Image.Image]


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def part(contents: list[Path | bytes | None], block: int = 50) -> EncodedImages:
    items = [Item(f"image {index}", content) for index, content in enumerate(contents)]
    return EncodedImages(
        np.zeros(len(items), np.int64),
        lambda: (items[start : start + block] for start in range(0, len(items), block)),
        lambda: items,
    )


def empty(shape: tuple[int, ...]) -> np.ndarray:
    return np.empty(shape, np.uint8)


@pytest.mark.parametrize("workers", [1, 3])
def test_images_land_in_their_rows(workers: int, paint: Paint) -> None:
    images = [paint(seed=seed) for seed in range(170)]
    contents: list[Path | bytes | None] = [encoded(image) for image in images]
    contents[3], contents[169], contents[100] = None, b"", b"nonsense"
    seen: list[tuple[int, int]] = []
    pixels, kept, skipped = decode_part(
        part(contents),
        Form((8, 8), grey=False),
        allocate=empty,
        workers=workers,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert pixels.shape == (170, 3, 8, 8)
    assert sorted(set(range(170)) - set(kept.tolist())) == [3, 100, 169]
    for index in kept:
        assert np.array_equal(pixels[index].transpose(1, 2, 0), np.asarray(images[index]))
    assert [name for name, _ in skipped] == ["image 3", "image 100", "image 169"]
    assert seen[-1] == (170, 170)
    assert seen == sorted(seen)


@pytest.mark.parametrize(("width", "alone"), [(8, True), (64, False)])
def test_large_files_are_decoded_by_several_threads(width: int, alone: bool, paint: Paint) -> None:
    """An empty file and one without bytes among them do not matter."""
    threads: set[int] = set()

    class Watched(np.ndarray):
        def __setitem__(self, key: Any, value: Any) -> None:
            threads.add(threading.get_ident())
            super().__setitem__(key, value)

    data = encoded(paint(width, width))
    contents: list[Path | bytes | None] = [b"", None, *[data] * 600]
    decode_part(
        part(contents),
        Form((width, width), grey=False),
        allocate=lambda shape: np.zeros(shape, np.uint8).view(Watched),
        workers=None,
        progress=None,
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert (len(threads) == 1) == (alone or cores == 1)


def test_form_of_mixed_images(paint: Paint) -> None:
    grey, colour = encoded(paint(mode="L")), encoded(paint(20, 10))
    assert judge_form([part([grey, b"", grey])], None) == Form((8, 8), grey=True)
    assert judge_form([part([grey]), part([colour])], None) == Form((32, 32), grey=False)
    assert judge_form([part([grey])], 12) == Form((12, 12), grey=True)
    assert judge_form([part([b"", None])], None) is None
    assert Form((5, 6), grey=True).shape == (1, 5, 6)


def test_colour_among_grey_stops(paint: Paint) -> None:
    contents: list[Path | bytes | None] = [encoded(paint(mode="L")), encoded(paint())]
    with pytest.raises(ColourError):
        decode_part(
            part(contents), Form((8, 8), grey=True), allocate=empty, workers=1, progress=None
        )


def test_arrays_are_resized_like_images(paint: Paint) -> None:
    small = np.zeros((2, 1, 28, 28), np.uint8)
    assert resize_arrays(small, None) is small
    assert resize_arrays(small, 14).shape == (2, 1, 14, 14)
    image = paint(100, 80)
    arrays = np.asarray(image).transpose(2, 0, 1)[None]
    expected, _, _ = decode_part(
        part([encoded(image)]), Form((64, 64), grey=False), allocate=empty, workers=1, progress=None
    )
    result = resize_arrays(arrays, None)
    assert result.shape == (1, 3, 64, 64)
    assert np.array_equal(result, expected)
