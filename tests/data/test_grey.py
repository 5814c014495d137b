"""Grey as Pillow makes it, and images of any kind in one form."""

from pathlib import Path

import numpy as np
from PIL import Image

from nascence.data.decoding import Form
from nascence.data.grey import as_grey, decode_images
from nascence.data.source import EncodedImages, Item


def test_grey_is_that_of_pillow() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 50, 40), dtype=np.uint8)
    found = as_grey(pixels)
    for image, grey in zip(pixels, found, strict=True):
        expected = np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L"))
        assert np.array_equal(grey[0], expected)


def test_a_block_with_colour_becomes_grey(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"")
    items = [Item(name, tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    part = EncodedImages(np.zeros(3, np.int64), lambda: iter([items]), lambda: items)
    images, kept, failures = decode_images(part, Form((8, 8), grey=True))
    assert images.shape == (3, 1, 8, 8)
    assert kept.tolist() == [0, 1]
    assert np.array_equal(images[1, 0], pixels[..., 0])
    assert failures == [("c.png", "is empty (0 bytes)")]
