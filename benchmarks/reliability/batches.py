"""Kind 2, odd batches: every score of repeated, black, one-pixel and extreme images."""

import io
import json
import math
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.reliability.trying import Try, WrongError, allowing, command
from nascence.metrics import metric, metric_names
from nascence.spaces import NB201

BATCHES = ("one image repeated", "half repeated", "black", "one pixel", "a line of pixels",
           "one image", "one label", "very large values", "very small values", "not a number",
           "few grey levels", "no variance in a channel")  # fmt: skip


def batch(kind: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (B, 3, H, W) and labels (B,) of one of `BATCHES`."""
    images = torch.randn(8, 3, 8, 8, generator=generator)
    labels = torch.arange(8) % 4
    if kind == "one image repeated":
        images[:] = images[0].clone()
    elif kind == "half repeated":
        images[:4] = images[4:].clone()
    elif kind == "black":
        images.zero_()
    elif kind == "one pixel":
        images = images[:, :, :1, :1].clone()
    elif kind == "a line of pixels":
        images = images.flatten(2)[:, :, None, :40].clone()
    elif kind == "one image":
        images, labels = images[:1].clone(), labels[:1]
    elif kind == "one label":
        labels = torch.zeros_like(labels)
    elif kind == "very large values":
        images *= 1e30
    elif kind == "very small values":
        images *= 1e-38
    elif kind == "not a number":
        images[3, 1, 2, 2] = math.nan
    elif kind == "few grey levels":
        images = (images > 0).float()
    elif kind == "no variance in a channel":
        images[:, 1] = 0.5
    return images, labels


def score(name: str, kind: str, seed: int) -> None:
    """A score is finite, or refused in a line."""
    generator = torch.Generator().manual_seed(seed)
    space = NB201(classes=4, width=4, cells=1)
    torch.manual_seed(seed)
    # Convolutions on the way to the end: 2 and 3 are the 1x1 and 3x3 of the space.
    choices = torch.randint(2, 4, (6,), generator=generator)
    model: nn.Module = space.build(tuple(choices.tolist()))
    found, _ = allowing(lambda: metric(name)(model, batch(kind, generator)))
    if found is not None and not math.isfinite(found):
        raise WrongError(f"{name} of {kind} is {found}")


def picture(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def write(folder: Path, kind: str, rng: np.random.Generator) -> None:
    """A data set of two classes of 20 images."""
    for label in range(2):
        (folder / f"class {label}").mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            if kind == "all the same":
                pixels[:] = 128
            elif kind == "black":
                pixels[:] = 0
            elif kind == "one pixel each":
                pixels = pixels[:1, :1]
            elif kind == "one by three hundred":
                pixels = np.repeat(pixels[:1], 40, 1)[:, :300]
            elif kind == "two images in all":
                pixels[:] = 90 * label
            (folder / f"class {label}" / f"{number}.png").write_bytes(picture(pixels))


def designed(folder: Path, kind: str, seed: int) -> None:
    """A network is designed, or a line names the images as the cause."""
    write(folder / "data", kind, np.random.default_rng(seed))
    ended = command(
        "design", folder / "data", "--size", 8, "--trials", 3, "--steps", 2, "--no-baseline",
        "--out", folder / "run", "--json", "-q",
    )  # fmt: skip
    if ended.code == 0:
        json.loads(ended.out)
    elif "--max-params" in ended.err or "limit" in ended.err:
        raise WrongError(f"advice on limits that were not given: {ended.last[:300]}")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    for number, name in enumerate(metric_names()):
        for kind in rng.sample(BATCHES, 3):
            yield Try(f"{name} of {kind}", partial(score, name, kind, number))
    kinds = ("all the same", "black", "one pixel each", "one by three hundred", "two images in all")
    for place, kind in enumerate(kinds):
        yield Try(
            f"design with images {kind}",
            partial(designed, folder / str(place), kind, rng.randrange(99)),
        )
