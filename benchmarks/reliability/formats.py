"""Kind 15, types of parquet columns and modes of images, beside what Pillow reads."""

import io
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

import nascence as nc
from benchmarks.reliability.trying import Try, WrongError, allowing

LABELS = ("int8", "uint64", "int32", "bool", "string", "large_string", "string_view", "float64",
          "dictionary", "null", "list", "date", "decimal")  # fmt: skip
IMAGES = ("struct", "binary", "large_binary", "binary_view", "fixed", "struct of views", "list",
          "string")  # fmt: skip
MODES = ("1", "L", "LA", "P", "P transparent", "RGB", "RGB transparent", "RGBA", "I;16",
         "L transparent", "CMYK", "F", "YCbCr", "grey16 alpha")  # fmt: skip


def picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (40 + 100 * (number % 2), 10, 200)).save(buffer, "bmp")
    return buffer.getvalue()


def label_column(kind: str) -> tuple[Any, bool]:
    """Labels 0, 1, 0, 1, ... as a type, and whether it is one that should be read."""
    numbers = [number % 2 for number in range(20)]
    words = [("no", "yes")[number] for number in numbers]
    if kind == "bool":
        return pa.array([bool(number) for number in numbers]), True
    if kind in ("string", "large_string", "string_view"):
        return pa.array(words).cast(getattr(pa, kind)()), True
    if kind == "dictionary":
        return pa.array(words).dictionary_encode(), True
    if kind == "null":
        return pa.array([None] * 20, pa.int64()), False
    if kind == "list":
        return pa.array([[number] for number in numbers]), False
    if kind == "date":
        return pa.array(numbers, pa.date32()), False
    if kind == "decimal":
        return pa.array(numbers).cast(pa.decimal128(20, 0)), False
    return pa.array(numbers).cast(getattr(pa, kind)()), kind != "float64"


def image_column(kind: str) -> tuple[Any, bool]:
    cells = [picture(number) for number in range(20)]
    if kind == "struct":
        return pa.array([{"bytes": cell, "path": "x.bmp"} for cell in cells]), True
    if kind == "struct of views":
        bytes_ = pa.array(cells).cast(pa.binary_view())
        return pa.StructArray.from_arrays([bytes_, pa.array(["x"] * 20)], ["bytes", "path"]), True
    if kind == "fixed":
        return pa.array(cells, pa.binary(len(cells[0]))), True
    if kind == "list":
        return pa.array([list(cell) for cell in cells]), False
    if kind == "string":
        return pa.array([f"{number}.bmp" for number in range(20)]), False
    return pa.array(cells).cast(getattr(pa, kind)()), True


def parquet(path: Path, images: str, labels: str) -> None:
    """Pixels and labels are those that were written."""
    (first, readable), (second, labelled) = image_column(images), label_column(labels)
    pq.write_table(pa.table({"image": first, "label": second}), path)
    found, refusal = allowing(lambda: nc.data.load(path, cache=False, workers=1))
    if found is None:
        if readable and labelled:
            raise WrongError(f"refused: {refusal}")
        return
    for split in (found.train, found.validation):
        for image, label in zip(split.images, split.labels.tolist(), strict=True):
            if int(image[0, 0, 0]) != 40 + 100 * label:
                raise WrongError(f"class {label} has red {int(image[0, 0, 0])}")


def in_mode(mode: str, rng: np.random.Generator) -> tuple[bytes, str]:
    """A file of 8 pixels in a mode, and its suffix."""
    pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    settings: dict[str, Any] = {}
    suffix = "png"
    if mode in ("1", "L", "LA", "RGBA"):
        image = image.convert(mode)
    elif mode.startswith("P"):
        image = image.quantize(16)
        settings = {"transparency": 3} if "transparent" in mode else {}
    elif mode == "RGB transparent":
        settings = {"transparency": tuple(int(each) for each in pixels[0, 0])}
    elif mode == "L transparent":
        image, settings = image.convert("L"), {"transparency": 7}
    elif mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (8, 8), dtype=np.uint16))
    elif mode in ("CMYK", "YCbCr", "F"):
        image, suffix = image.convert(mode), "tiff"
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)))
    buffer = io.BytesIO()
    image.save(buffer, suffix, **settings)
    return buffer.getvalue(), suffix


def expected(content: bytes) -> np.ndarray:
    """The pixels on white, 16 bits scaled, as RGB, by Pillow."""
    image = Image.open(io.BytesIO(content))
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float64) / 257
        return np.repeat(np.round(values)[..., None], 3, 2)
    if "transparency" in image.info or "A" in image.mode:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        return np.asarray(Image.alpha_composite(white, over).convert("RGB")).astype(np.float64)
    return np.asarray(image.convert("RGB")).astype(np.float64)


def pixels(folder: Path, mode: str, seed: int) -> None:
    """Pixels are those of Pillow to a level, or a line says why not."""
    rng = np.random.default_rng(seed)
    contents = []
    for number in range(20):
        name = mode if mode != "grey16 alpha" else "LA"
        content, suffix = in_mode(name, rng)
        path = folder / "ab"[number % 2] / f"{number:02d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        contents.append(expected(content))
    found, _ = allowing(lambda: nc.data.load(folder, size=8, cache=False, workers=1))
    if found is None:
        return
    for split in (found.train, found.validation):
        for image in split.images:
            seen = image.permute(1, 2, 0).numpy().astype(np.float64)
            seen = np.repeat(seen, 3, 2) if seen.shape[2] == 1 else seen
            nearest = min(np.abs(seen - each).max() for each in contents)
            if nearest > 2:
                raise WrongError(f"pixels differ by {nearest:.0f} from those of Pillow")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    for labels in LABELS:
        images = rng.choice(IMAGES[:3])
        path = folder / f"label {labels}.parquet"
        yield Try(f"labels {labels}", partial(parquet, path, images, labels))
    for images in IMAGES:
        labels = rng.choice(LABELS[:4])
        path = folder / f"image {images}.parquet"
        yield Try(f"images {images}", partial(parquet, path, images, labels))
    for number, mode in enumerate(MODES[:-1]):
        yield Try(f"mode {mode}", partial(pixels, folder / f"m{number}", mode, rng.randrange(99)))
