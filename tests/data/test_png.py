"""Pixels of PNG files written here, bit by bit, against the values that were written."""

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nascence.data.decode import decode, is_grey, open_image

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# The pass of each pixel of a block of eight by eight: figure 4.8 of the specification.
ADAM7 = np.array([list("16462646"), list("7" * 8), list("56565656"), list("7" * 8)] * 2)
ADAM7[4] = list("36463646")
PALETTE = np.random.default_rng(3).integers(0, 256, (16, 3))
SHARES = np.random.default_rng(4).integers(0, 256, 16)


def lines(values: NDArray[np.int64], depth: int, seed: int) -> bytes:
    """Rows of samples, each with one of the five filters, as section 9 of the specification."""
    height, _, channels = values.shape
    flat = values.reshape(height, -1)
    if depth < 8:
        bits = (flat[:, :, None] >> np.arange(depth)[::-1]) & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    else:
        rows = flat.astype(">u2" if depth == 16 else np.uint8).view(np.uint8).reshape(height, -1)
    step = max(1, channels * depth // 8)
    before = np.zeros(rows.shape[1], int)
    result = b""
    for row, kind in zip(
        rows.astype(int), np.random.default_rng(seed).integers(0, 5, height), strict=True
    ):
        left, corner = (np.concatenate((np.zeros(step, int), x))[: len(x)] for x in (row, before))
        p = left + before - corner
        a, b, c = abs(p - left), abs(p - before), abs(p - corner)
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, before, corner))
        predicted = [np.zeros_like(row), left, before, (left + before) // 2, paeth][kind]
        result += bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        before = row
    return result


def passes(values: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    height, width, channels = values.shape
    numbers = np.tile(ADAM7, (-(-height // 8), -(-width // 8)))[:height, :width]
    chosen = (numbers == number for number in "1234567")
    return [values[mask].reshape(mask.any(1).sum(), -1, channels) for mask in chosen if mask.any()]


def png(
    values: NDArray[np.int64], depth: int, colour: int, *, interlaced: bool, marked: bytes
) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width, _ = values.shape
    parts = passes(values) if interlaced else [values]
    content = zlib.compress(b"".join(lines(p, depth, s) for s, p in enumerate(parts) if p.size))
    about = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", about)
        + (chunk(b"PLTE", PALETTE.astype(np.uint8).tobytes()) if colour == 3 else b"")
        + (chunk(b"tRNS", marked) if marked else b"")
        + chunk(b"IDAT", content[:50])
        + chunk(b"IDAT", content[50:])
        + chunk(b"IEND", b"")
    )


def on_white(
    values: NDArray[np.int64], alpha: NDArray[np.float64], most: int
) -> NDArray[np.float64]:
    return 255 * (values / most * alpha + 1 - alpha)


# A PNG with an alpha channel has no transparent colour.
KINDS = [
    *((depth, 0, marked) for depth in (1, 2, 4, 8, 16) for marked in (False, True)),
    *((depth, 2, marked) for depth in (8, 16) for marked in (False, True)),
    *((depth, 3, marked) for depth in (4, 8) for marked in (False, True)),
    *((depth, colour, False) for depth in (8, 16) for colour in (4, 6)),
]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("depth", "colour", "marked"), KINDS)
def test_pixels_are_those_of_the_file(
    depth: int, colour: int, marked: bool, interlaced: bool
) -> None:
    most, channels = 2**depth - 1, CHANNELS[colour]
    generator = np.random.default_rng(depth + colour)
    values = generator.integers(0, 16 if colour == 3 else most + 1, (7, 9, channels))
    transparent = b""
    if colour == 3:
        alpha = SHARES[values] / 255 if marked else np.ones((7, 9, 1))
        transparent = SHARES.astype(np.uint8).tobytes() if marked else b""
        expected = on_white(PALETTE[values[..., 0]], alpha, 255)
    elif channels in (2, 4):
        expected = on_white(values[..., :-1], values[..., -1:] / most, most)
    else:
        one = values[2, 3]
        values[5, 5] = one
        values[0, 0] = one ^ 1  # differs in the last bit alone
        alpha = np.ones((7, 9, 1))
        if marked:
            transparent = struct.pack(f">{channels}H", *one)
            alpha = (values != one).any(-1, keepdims=True).astype(float)
        expected = on_white(values, alpha, most)
    data = png(values, depth, colour, interlaced=interlaced, marked=transparent)
    grey = colour in (0, 4)
    assert is_grey(open_image(data)) == grey
    found = decode(data, (7, 9), grey=grey).reshape(expected.shape)
    # Pillow rounds twice where it lays 8 bits on white.
    assert np.abs(found - expected).max() <= (0.5 if depth == 16 or colour in (0, 2) else 1)


def test_sixteen_bit_transparency_is_turned_with_its_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.random.default_rng(0).integers(0, 65536, (4, 6, 4))
    data = png(values, 16, 6, interlaced=False, marked=b"")
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block
    turned = data[:33] + chunk + struct.pack(">I", zlib.crc32(b"eXIf" + block)) + data[33:]
    upright = decode(data, (4, 6), grey=False)
    assert np.array_equal(decode(turned, (6, 4), grey=False), np.rot90(upright, -1))


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA"])
def test_tiff_with_transparency_is_laid_on_white(mode: str) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (3, 2), (100, 100, 100, 51)).convert(mode).save(file, "TIFF")
    found = decode(file.getvalue(), (2, 3), grey=False)
    assert np.abs(found - on_white(np.array(100), np.array(0.2), 255)).max() <= 1
