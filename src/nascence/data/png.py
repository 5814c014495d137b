"""PNG files of which Pillow gives other values than the file holds.

Pillow keeps the upper byte of 16-bit colours and compares the transparent colour of a file with
pixels of another depth. Here both are read as the PNG specification says (ISO/IEC 15948:2004).
"""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOUR, _GREY_ALPHA, _COLOUR_ALPHA = 0, 2, 4, 6
_CHANNELS = {_GREY: 1, _COLOUR: 3, _GREY_ALPHA: 2, _COLOUR_ALPHA: 4}
# A PNG's filters work on bytes that lie as far apart as the pixels do, so that the bytes of
# 16-bit pixels can be dealt out to files of 8 bits: colour type, and how many bytes each takes.
_DEALT = {
    _GREY: (_GREY_ALPHA, 2),
    _COLOUR: (_COLOUR, 3),
    _GREY_ALPHA: (_COLOUR_ALPHA, 4),
    _COLOUR_ALPHA: (_COLOUR_ALPHA, 4),
}
# First column and row, and steps between them, of the seven passes of an interlaced image.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)),
    (0, 1, 1, 2),
)


def exact(data: bytes, image: Image.Image) -> Image.Image | None:
    """Read what Pillow does not read exactly, laid on white: mode ``L`` or ``RGB``.

    Args:
        data: Of the whole file.
        image: The same, loaded by Pillow.

    Returns:
        The image, rounded to 8 bits after it was laid on white, or ``None`` where Pillow reads
        the file as it is or it is no PNG.
    """
    if data[:8] != _SIGNATURE:
        return None
    depth, colour = data[24], data[25]
    if colour not in _CHANNELS:
        return None
    marked = image.info.get("transparency") if colour in (_GREY, _COLOUR) else None
    if marked is None and (depth < 16 or colour == _GREY):
        return None
    most = 2**depth - 1
    values = _sixteen_bits(data) if depth == 16 else _levels(image, most)
    if marked is not None:
        alpha = (values != (np.array(marked) & most)).any(-1, keepdims=True) * np.uint16(most)
    elif colour in (_GREY_ALPHA, _COLOUR_ALPHA):
        values, alpha = values[..., :-1], values[..., -1:]
    else:
        alpha = np.full((*values.shape[:2], 1), most, np.uint16)
    result = Image.fromarray(_on_white(values, alpha, most))
    if "exif" in image.info:
        result.info["exif"] = image.info["exif"]
    return result


def _on_white(values: NDArray[Any], alpha: NDArray[Any], most: int) -> NDArray[np.uint8]:
    """Lay values from 0 to ``most`` on white, as 8 bits: uint8 ``(H, W)`` or ``(H, W, 3)``."""
    result = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), 64):  # rows, so that little is held as 64 bits
        rows = slice(start, start + 64)
        shares = alpha[rows].astype(np.int64)
        mixed = values[rows] * shares + most * (most - shares)  # of the square of ``most``
        result[rows] = (2 * 255 * mixed + most**2) // (2 * most**2)
    return result.squeeze(-1) if values.shape[2] == 1 else result


def _levels(image: Image.Image, most: int) -> NDArray[Any]:
    """Values of up to 8 bits as the file holds them: uint8 ``(H, W, C)``."""
    pixels = np.asarray(image.convert("L") if image.mode == "1" else image)
    return pixels.reshape(*pixels.shape[:2], -1) // np.uint8(255 // most)


def _sixteen_bits(data: bytes) -> NDArray[np.uint16]:
    """Values of a file of 16 bits: ``(H, W, C)``."""
    width, height, _, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    size = 2 * _CHANNELS[colour]
    new_colour, share = _DEALT[colour]
    dealt: list[list[bytes]] = [[] for _ in range(size // share)]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    shapes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
    shapes = [(columns, rows) for columns, rows in shapes if columns > 0 and rows > 0]
    total = sum(rows * (1 + size * columns) for columns, rows in shapes)
    filtered = zlib.decompressobj().decompress(_content(data), total)
    if len(filtered) < total:
        raise ValueError("image file is truncated")
    start = 0
    for columns, rows in shapes:
        stop = start + rows * (1 + size * columns)
        lines = np.frombuffer(filtered[start:stop], np.uint8).reshape(rows, -1)
        pixels = lines[:, 1:].reshape(rows, columns, size)
        for place, part in enumerate(dealt):
            own = pixels[:, :, place * share : (place + 1) * share].reshape(rows, -1)
            part.append(np.concatenate((lines[:, :1], own), 1).tobytes())
        start = stop
    parts = [_eight_bits(data, new_colour, b"".join(part)) for part in dealt]
    return np.concatenate(parts, -1).copy().view(">u2").astype(np.uint16)


def _eight_bits(data: bytes, colour: int, filtered: bytes) -> NDArray[np.uint8]:
    """Pixels of a file of 8 bits with the size of another, from its filtered lines."""
    about = data[16:24] + bytes((8, colour)) + data[26:29]
    chunks = (b"IHDR", about), (b"IDAT", zlib.compress(filtered, 0)), (b"IEND", b"")
    file = _SIGNATURE + b"".join(
        len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
        for kind, body in chunks
    )
    return np.asarray(Image.open(io.BytesIO(file), formats=("PNG",)))


def _content(data: bytes) -> bytes:
    """The compressed lines of a file."""
    found, start = [], 8
    while start + 12 <= len(data):
        (length,) = struct.unpack(">I", data[start : start + 4])
        if data[start + 4 : start + 8] == b"IDAT":
            found.append(data[start + 8 : start + 8 + length])
        start += 12 + length
    return b"".join(found)
