"""From the bytes of an image file to 8-bit pixels of a chosen size."""

import io
import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from nascence.data.jpeg import SharedHeaders
from nascence.data.png import exact

# EPS is left out on purpose: Pillow hands it to an external interpreter.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "HEIF")
MOST_PIXELS = 40_000_000  # about 160 MB while one image is decoded
MOST_BYTES = 1 << 28
SIZES = (32, 48, 64, 96, 128, 160, 192, 224)
Framing = Literal["crop", "squash", "pad"]
"""How an image is brought to another shape: the largest centred crop of that shape, squashed as a
whole, or as a whole in its own shape between black borders."""
FRAMINGS: tuple[Framing, ...] = ("crop", "squash", "pad")
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"
)


class UnusableImageError(Exception):
    """Why one image is skipped."""


class ColourError(Exception):
    """An image with colour where all were taken for grey."""


def read_bytes(content: Path | bytes | None) -> bytes:
    """The bytes of an encoded image.

    Raises:
        UnusableImageError: They are absent, none, too many, or cannot be read.
    """
    if content is None:
        raise UnusableImageError("holds no bytes (a reference to a file elsewhere is not followed)")
    try:
        if isinstance(content, Path) and content.stat().st_size > MOST_BYTES:
            raise UnusableImageError(f"is too large (a file of more than {MOST_BYTES:,} bytes)")
        data = content.read_bytes() if isinstance(content, Path) else content
    except OSError as error:
        raise UnusableImageError(f"cannot be read ({error.strerror or error})") from error
    if not data:
        raise UnusableImageError("is empty (0 bytes)")
    return data


def open_image(data: bytes) -> Image.Image:
    """Read the header of an image; pixels are decoded later.

    Raises:
        UnusableImageError: The bytes are not an image, or one that is too large.
    """
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        _check_pixels(*struct.unpack(">II", data[16:24]))
    try:
        if data[:2] == b"\xff\xd8":
            # Not Image.open: a JPEG of any size can be decoded at an eighth of it.
            return JpegImageFile(io.BytesIO(data))
        return Image.open(io.BytesIO(data), formats=_formats())
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusableImageError(f"is too large ({error})") from error
    except Exception as error:  # a broken header may raise anything
        kind = _BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None
        if kind is not None and ("AVIF" if kind == "AVIF" else "HEIF") not in _formats():
            remedy = "install it with: pip install pillow-heif"
            raise UnusableImageError(f"is {kind}, which needs pillow-heif ({remedy})") from error
        raise UnusableImageError("is not a readable image") from error


@cache
def _formats() -> tuple[str, ...]:
    """What this Pillow reads; HEIC is among it where pillow-heif is installed."""
    with suppress(ModuleNotFoundError):
        import_module("pillow_heif").register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _check_pixels(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise UnusableImageError(
            f"is too large ({width}x{height} pixels, at most {MOST_PIXELS:,} are decoded)"
        )


def is_grey(image: Image.Image) -> bool:
    """Whether an image has one channel beside transparency, judged from its header."""
    tile = getattr(image, "tile", None)
    if tile and tile[0].args == "LA;16B":  # of which Pillow makes colour
        return True
    return image.mode[0] in "1LIF" and image.mode != "LAB"


def decode(
    content: Path | bytes | None,
    size: tuple[int, int],
    *,
    grey: bool,
    framing: Framing = "crop",
    headers: SharedHeaders | None = None,
) -> NDArray[np.uint8]:
    """Decode one image to uint8 ``(H, W)`` where ``grey``, else ``(H, W, 3)``.

    Orientation tags are honoured, transparency is laid on white, 16-bit values are rounded to
    8 bits, palettes and other colour models become RGB, and of an animation the first frame is
    taken. ``size`` is ``(height, width)``, reached by :func:`fit`. ``headers`` is shared by the
    images of one data set.

    Raises:
        UnusableImageError: The image cannot be decoded.
        ColourError: The image has colour where ``grey`` is asked for.
    """
    data = read_bytes(content)
    known = headers and headers.decode(data)
    image = known or open_image(data)
    try:
        if grey and not is_grey(image):
            raise ColourError
        if known is None:
            if headers is not None:
                headers.remember(data, image)
            loaded = _load(image, size)
            image = eight_bits(upright(exact(data, loaded) or loaded))
        image = image if grey or image.mode == "RGB" else image.convert("RGB")
        return np.asarray(fit(image, size, framing))
    except (UnusableImageError, ColourError):
        raise
    except Exception as error:  # a broken file may raise anything
        reason = "is truncated" if "truncated" in str(error) else "is damaged"
        raise UnusableImageError(f"{reason} ({str(error) or type(error).__name__})") from error


def reduced(content: Path | bytes | None, side: int) -> Image.Image:
    """The whole image as mode ``L`` or ``RGB``, its shorter side ``side`` pixels at most.

    Raises:
        UnusableImageError: The image cannot be decoded.
    """
    data = read_bytes(content)
    image = open_image(data)
    try:
        loaded = _load(image, (side, side))
        image = eight_bits(upright(exact(data, loaded) or loaded))
        scale = min(side / min(image.size), 16 * side / max(image.size), 1.0)
        target = max(round(scale * image.width), 1), max(round(scale * image.height), 1)
        return image.resize(target, Image.Resampling.BICUBIC, reducing_gap=2.0)
    except UnusableImageError:
        raise
    except Exception as error:  # a broken file may raise anything
        raise UnusableImageError(f"is damaged ({error})") from error


def _load(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.info.get("progressive"):
        _check_pixels(*image.size)  # its coefficients are held at full size
    # A JPEG is decoded at the smallest scale that leaves the resampling its antialiasing.
    image.draft(None, (2 * max(size), 2 * max(size)))
    _check_pixels(*image.size)
    image.load()
    return image


def upright(image: Image.Image) -> Image.Image:
    """The image as its orientation tag wants it; a damaged tag is ignored."""
    if "exif" not in image.info and image.format != "TIFF":
        return image
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def eight_bits(image: Image.Image) -> Image.Image:
    """A loaded image as mode ``L`` or ``RGB``."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode[0] in "IF":
        return Image.fromarray(_scaled(np.asarray(image)))
    grey = is_grey(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("L" if grey else "RGB")


def _scaled(values: NDArray[Any]) -> NDArray[np.uint8]:
    """16-bit or [0, 1] floating-point values as 8 bits, rounded."""
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        if not (low >= 0 and high <= 1):
            raise UnusableImageError(f"has floating-point values outside 0 to 1 ({low} to {high})")
        scaled: NDArray[np.uint8] = np.round(values * 255).astype(np.uint8)
        return scaled
    if low < 0 or high > 65535:
        raise UnusableImageError(f"has values outside 16 bits ({low} to {high})")
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def fit(image: Image.Image, size: tuple[int, int], framing: Framing = "crop") -> Image.Image:
    """Bring an image to ``(height, width)`` by bicubic resampling with antialiasing.

    An image that has the size already is returned as it is.
    """
    height, width = size
    if image.size == (width, height):
        return image
    ratios = image.width / width, image.height / height
    if framing == "pad":
        scale = max(ratios)
        inner = max(round(image.width / scale), 1), max(round(image.height / scale), 1)
        canvas = Image.new(image.mode, (width, height))
        small = image.resize(inner, Image.Resampling.BICUBIC, reducing_gap=2.0)
        canvas.paste(small, ((width - inner[0]) // 2, (height - inner[1]) // 2))
        return canvas
    across, down = ratios if framing == "squash" else (min(ratios), min(ratios))
    left, top = (image.width - across * width) / 2, (image.height - down * height) / 2
    box = (left, top, left + across * width, top + down * height)
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)


def choose_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The common size of images given as ``(height, width)``.

    Images that are all of one size of at most 64 pixels a side stay as they are. Otherwise the
    result is a square: the largest of 32, 48, 64, 96, 128, 160, 192 and 224 that is not above the
    median of the shorter sides, and at least 32.
    """
    if len(set(sizes)) == 1 and max(sizes[0]) <= 64:
        return sizes[0]
    median = float(np.median([min(size) for size in sizes]))
    side = max((side for side in SIZES if side <= median), default=SIZES[0])
    return side, side
