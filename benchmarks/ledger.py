"""CIFAR-10 from a parquet file of its 50,000 training images: the last 5,000 rows validate."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pyarrow import parquet

from nascence.data import Dataset, Split

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
VALIDATION = 5_000


def cifar10(path: Path, side: int, *, cache: Path) -> Dataset:
    """Read, decode and scale by the mean over areas; ``cache`` is a folder for decoded images."""
    stored = cache / f"cifar10-{side}.npz"
    if not stored.exists():
        table = parquet.read_table(path)
        pictures = [
            np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB"))
            for row in table["img"].to_pylist()
        ]
        images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
        scaled = torch.nn.functional.interpolate(images, size=(side, side), mode="area")
        cache.mkdir(parents=True, exist_ok=True)
        part = stored.with_suffix(".part.npz")
        labels = np.asarray(table["label"].to_pylist(), dtype=np.int64)
        np.savez(part, images=scaled.round().to(torch.uint8).numpy(), labels=labels)
        part.replace(stored)
    with np.load(stored, allow_pickle=False) as arrays:
        images, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"])
    train = Split(images[:-VALIDATION], labels[:-VALIDATION])
    pixels = train.images.float() / 255
    return Dataset(
        name="CIFAR-10",
        train=train,
        validation=Split(images[-VALIDATION:], labels[-VALIDATION:]),
        class_names=CLASSES,
        mean=tuple(pixels.mean((0, 2, 3)).tolist()),
        std=tuple(pixels.std((0, 2, 3)).tolist()),
        skipped=(),
        fingerprint=f"cifar10-{side}",
    )
