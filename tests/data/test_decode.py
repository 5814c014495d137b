"""Pixels of every colour format that Pillow writes."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from nascence.data.decode import (
    ColourError,
    UnusableImageError,
    choose_size,
    decode,
    eight_bits,
    fit,
    is_grey,
    open_image,
    read_bytes,
    reduced,
)

Paint = Callable[..., Image.Image]


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG written by hand: bit depth 16 in colour is more than Pillow writes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP", "JPEG"])
def test_colour_formats(kind: str, paint: Paint) -> None:
    flat = Image.new("RGB", (16, 16), (200, 100, 50))
    image = flat if kind in ("GIF", "WEBP", "JPEG") else paint(16, 16)
    result = decode(encoded(image, kind), (16, 16), grey=False)
    assert result.shape == (16, 16, 3)
    tolerance = 6 if kind in ("WEBP", "JPEG") else 0
    assert np.abs(result.astype(int) - np.asarray(image)).max() <= tolerance


def test_grey_is_kept_or_repeated(paint: Paint) -> None:
    image = paint(mode="L")
    data = encoded(image)
    assert np.array_equal(decode(data, (8, 8), grey=True), np.asarray(image))
    repeated = decode(data, (8, 8), grey=False)
    assert all(np.array_equal(repeated[..., channel], np.asarray(image)) for channel in range(3))
    with pytest.raises(ColourError):
        decode(encoded(paint()), (8, 8), grey=True)


def test_palette(paint: Paint) -> None:
    image = paint().quantize(16)
    result = decode(encoded(image), (8, 8), grey=False)
    assert np.array_equal(result, np.asarray(image.convert("RGB")))


def test_palette_with_transparency_is_laid_on_white() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.putpixel((0, 0), 0)
    result = decode(encoded(image, transparency=0), (4, 4), grey=False)
    assert result[0, 0].tolist() == [255, 255, 255]
    assert result[1, 1].tolist() == [10, 20, 30]


@pytest.mark.parametrize("alpha", [0, 51, 255])
def test_transparency_is_laid_on_white(alpha: int) -> None:
    image = Image.new("RGBA", (4, 4), (100, 0, 200, alpha))
    share = alpha / 255
    expected = [round(255 + share * (value - 255)) for value in (100, 0, 200)]
    assert np.abs(decode(encoded(image), (4, 4), grey=False)[0, 0] - expected).max() <= 1
    grey = Image.new("LA", (4, 4), (100, alpha))
    result = decode(encoded(grey), (4, 4), grey=True)
    assert result.shape == (4, 4)
    assert abs(int(result[0, 0]) - expected[0]) <= 1


def test_cmyk() -> None:
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    for kind in ("JPEG", "TIFF"):
        result = decode(encoded(image, kind), (16, 16), grey=False)
        assert np.abs(result[8, 8].astype(int) - [0, 255, 255]).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str) -> None:
    values = np.array([[0, 257, 1000, 32896, 65535]], np.uint16)
    data = encoded(Image.fromarray(values), kind)
    assert is_grey(open_image(data))
    assert decode(data, (1, 5), grey=True).tolist() == [[0, 1, 4, 128, 255]]


def test_sixteen_bit_colour() -> None:
    row = b"\0" + struct.pack(">6H", 0, 32896, 65535, 65535, 257, 0)
    result = decode(png(2, 1, 16, 2, row), (1, 2), grey=False)
    assert result.tolist() == [[[0, 128, 255], [255, 1, 0]]]


def test_floating_point() -> None:
    good = Image.fromarray(np.array([[0, 0.5, 1]], np.float32))
    assert decode(encoded(good, "TIFF"), (1, 3), grey=True).tolist() == [[0, 128, 255]]
    bad = Image.fromarray(np.array([[0, np.nan, 7]], np.float32))
    with pytest.raises(UnusableImageError, match="outside 0 to 1"):
        decode(encoded(bad, "TIFF"), (1, 3), grey=True)


@pytest.mark.parametrize("mode", ["1", "HSV", "LAB", "YCbCr", "PA", "I"])
def test_other_modes_become_eight_bits(mode: str) -> None:
    image = Image.new("L", (3, 3), 1).convert("RGB" if mode in ("HSV", "LAB", "YCbCr") else "L")
    image = Image.new(mode, (3, 3)) if mode == "LAB" else image.convert(mode)
    assert eight_bits(image).mode in ("L", "RGB")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_orientation_is_honoured(orientation: int, kind: str) -> None:
    """The tag's definition: where row 0 and column 0 of the file lie in the picture."""
    scene = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].T,
        8: lambda a: np.rot90(a, -1),
    }
    stored = np.ascontiguousarray(turns[orientation](scene)).repeat(8, 0).repeat(8, 1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(stored), kind, exif=exif)
    result = decode(data, (32, 48), grey=True)[4::8, 4::8]
    assert np.abs(result.astype(int) - scene).max() <= 4


def test_damaged_orientation_is_ignored(paint: Paint) -> None:
    data = encoded(paint(), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert np.array_equal(decode(data, (8, 8), grey=False), np.asarray(paint()))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "holds no bytes"),
        (b"", r"is empty \(0 bytes\)"),
        (b"hello, I am text", "is not a readable image"),
        (b"\xff\xd8\xff", "is not a readable image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a readable image"),
    ],
)
def test_not_an_image(content: bytes | None, reason: str) -> None:
    with pytest.raises(UnusableImageError, match=reason):
        decode(content, (8, 8), grey=False)


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(UnusableImageError, match="cannot be read"):
        read_bytes(tmp_path / "absent.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated(kind: str, share: float, paint: Paint) -> None:
    data = encoded(paint(64, 64), kind)
    with pytest.raises(UnusableImageError) as caught:
        decode(data[: int(share * len(data))], (64, 64), grey=False)
    assert "\n" not in str(caught.value)


STARTS = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"P6\n"]


@given(st.binary(max_size=300), st.sampled_from(STARTS))
def test_any_bytes_decode_or_are_refused(data: bytes, start: bytes) -> None:
    with suppress(UnusableImageError):
        assert decode(start + data, (4, 4), grey=False).shape == (4, 4, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_wide_strip_goes_on(kind: str) -> None:
    values = np.zeros((10, 30_000), np.uint8)
    values[:, 14_995:15_005] = 200
    result = decode(encoded(Image.fromarray(values), kind), (10, 10), grey=True)
    assert np.abs(result[:, 1:-1].astype(int) - 200).max() <= 8


def test_a_huge_jpeg_is_decoded_small() -> None:
    image = Image.new("L", (30_000, 2_000), 77)
    result = decode(encoded(image, "JPEG"), (32, 32), grey=True)
    assert np.abs(result.astype(int) - 77).max() <= 2


def test_a_huge_jpeg_header_alone_costs_nothing() -> None:
    data = bytearray(encoded(Image.new("RGB", (16, 16)), "JPEG", progressive=True))
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 30_000, 30_000)
    with pytest.raises(UnusableImageError, match="30000x30000"):
        decode(bytes(data), (32, 32), grey=False)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    rows = zlib.compress(b"\0")
    tracemalloc.start()
    for data in (png(30_000, 30_000, 8, 2, rows), png(2**31 - 1, 2**31 - 1, 8, 2, rows)):
        with pytest.raises(UnusableImageError, match="is too large"):
            decode(data, (32, 32), grey=False)
    gif = bytearray(encoded(Image.new("P", (4, 4)), "GIF"))
    gif[6:10] = struct.pack("<HH", 65_000, 65_000)
    with pytest.raises(UnusableImageError, match="is too large"):
        decode(bytes(gif), (32, 32), grey=False)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_fit_takes_the_centre_and_keeps_the_aspect() -> None:
    values = np.zeros((40, 100), np.uint8)
    values[:, 30:70] = 255
    image = Image.fromarray(values)
    assert (np.asarray(fit(image, (20, 20)))[:, 1:-1] == 255).all()
    wide = np.asarray(fit(image, (20, 50)))
    assert wide.shape == (20, 50)
    assert (wide[:, 18:32] == 255).all()
    assert (wide[:, :12] == 0).all()
    assert fit(image, (40, 100)) is image


def test_fit_reduces_with_antialiasing() -> None:
    checkers = np.indices((64, 64)).sum(0) % 2 * 255
    small = np.asarray(fit(Image.fromarray(checkers.astype(np.uint8)), (8, 8)))
    assert np.abs(small.astype(int) - 127.5).max() < 8


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(48, 64)] * 2, (48, 64)),
        ([(65, 65)] * 3, (64, 64)),
        ([(100, 100)] * 3, (96, 96)),
        ([(500, 375), (333, 500), (480, 640)], (224, 224)),
        ([(20, 20), (24, 90)], (32, 32)),
        ([(32, 32), (32, 40), (33, 33)], (32, 32)),
    ],
)
def test_choose_size(sizes: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    assert choose_size(sizes) == expected


def test_framing_keeps_what_it_says() -> None:
    """Left half black, right half white: twice as wide as high."""
    values = np.zeros((20, 40, 3), np.uint8)
    values[:, 20:] = 255
    image = Image.fromarray(values)
    squashed, padded = (np.asarray(fit(image, (20, 20), how)) for how in ("squash", "pad"))
    assert (squashed[:, :8] == 0).all()
    assert (squashed[:, 12:] == 255).all()
    assert (padded[:5] == 0).all()
    assert (padded[15:] == 0).all()
    assert (padded[5:15, 12:] == 255).all()
    tall = np.asarray(fit(Image.new("L", (1, 500), 255), (16, 16), "pad"))
    assert (tall > 0).any(0).sum() == 1


def test_reduced_images_keep_their_shape(paint: Paint) -> None:
    buffer = io.BytesIO()
    paint(100, 40).save(buffer, "PNG")
    assert reduced(buffer.getvalue(), 20).size == (50, 20)
    assert reduced(buffer.getvalue(), 64).size == (100, 40)
    with pytest.raises(UnusableImageError):
        reduced(buffer.getvalue()[:200], 20)


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
def test_avif_is_read(paint: Paint) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(buffer, "AVIF")
    pixels = decode(buffer.getvalue(), (8, 8), grey=False)
    assert np.abs(pixels.astype(int) - (200, 30, 30)).max() < 12


def test_heic_names_what_reads_it() -> None:
    with pytest.raises(UnusableImageError, match="is HEIC, which needs pillow-heif"):
        open_image(b"\0\0\0\x18ftypheic" + bytes(40))


def test_the_guide_frames_photos_as_the_decoder_does(paint: Paint) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text()
    (code,) = (part for part in guide.split("```python")[1:] if "def framed(" in part)
    names: dict = {}
    exec(code.split("```")[0], names)
    for framing in ("crop", "squash", "pad"):
        photo = paint(70, 40)
        theirs = np.asarray(names["framed"](photo, 24, framing))
        assert np.array_equal(theirs, np.asarray(fit(photo, (24, 24), framing)))
