"""The shortcut for JPEG gives the pixels of the full reader, or stands aside."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from nascence.data.decode import open_image
from nascence.data.jpeg import SharedHeaders

Paint = Callable[..., Image.Image]


def encoded(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def known(data: bytes) -> SharedHeaders:
    headers = SharedHeaders()
    headers.remember(data, open_image(data))
    return headers


def test_the_shortcut_gives_the_same_pixels(paint: Paint) -> None:
    for mode in ("L", "RGB"):
        files = [encoded(paint(mode=mode, seed=seed)) for seed in range(20)]
        headers = known(files[0])
        for data in files:
            image = headers.decode(data)
            assert image is not None
            assert np.array_equal(np.asarray(image), np.asarray(Image.open(io.BytesIO(data))))


def test_other_headers_and_other_formats_are_not_known(paint: Paint) -> None:
    headers = known(encoded(paint()))
    assert headers.decode(encoded(paint(), quality=30)) is None
    assert headers.decode(encoded(paint(9, 8))) is None
    assert headers.decode(b"") is None
    assert headers.decode(b"\xff\xd8") is None


def test_images_that_need_more_than_decoding_are_not_noted(paint: Paint) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for data in (encoded(paint(), exif=exif), encoded(paint(mode="CMYK"))):
        assert known(data).decode(data) is None


def test_damage_is_left_to_the_full_reader(paint: Paint) -> None:
    data = encoded(paint(32, 32))
    assert known(data).decode(data[:-40]) is None
