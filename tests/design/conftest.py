"""A small data set for the stages of a run, and runs on it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nascence.data import Dataset, Look, Split
from nascence.design.families import optimizer_of
from nascence.design.folder import RunFolder
from nascence.design.pipeline import silent
from nascence.design.run import Run
from nascence.design.settings import DesignSettings, share


@pytest.fixture(scope="session")
def noise() -> Dataset:
    """Three classes of noise, 8 px."""
    images = torch.randint(
        0, 256, (30, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    split = Split(images, torch.arange(30) % 3)
    return Dataset(
        name="noise",
        train=split,
        validation=split,
        class_names=("a", "b", "c"),
        mean=(0.5,) * 3,
        std=(0.3,) * 3,
        skipped=(),
        fingerprint="noise",
    )


@pytest.fixture
def run_of(tmp_path: Path, noise: Dataset) -> Callable[..., Run]:
    """Makes a run of 10 seconds with these settings, in a folder of its own."""

    def make(*, name: str = "run", data: Dataset = noise, **settings: object) -> Run:
        chosen = DesignSettings(**settings)
        return Run(
            folder=RunFolder.create(tmp_path / name, chosen),
            optimizer=optimizer_of(chosen),
            data=data,
            device=torch.device("cpu"),
            shares=share(10.0, baseline=True),
            progress=silent,
        )

    return make


def noisy(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    return generator.integers(90, 160, (height, width, 3), dtype=np.uint8)


def look_at(paint: Callable[[int, np.random.Generator], Image.Image], classes: int) -> Look:
    generator = np.random.default_rng(0)
    labels = np.arange(160) % classes
    photos = tuple(paint(int(label), generator) for label in labels)
    return Look(
        photos=photos,
        labels=labels,
        sizes=tuple((photo.height, photo.width) for photo in photos),
        grey=False,
        train=160,
        held_out=0,
        classes=classes,
        seconds=0.001,
    )


@pytest.fixture(scope="session")
def edges() -> Look:
    """Wide photos, with what tells the three classes apart where a centred crop does not reach."""

    def paint(label: int, generator: np.random.Generator) -> Image.Image:
        pixels = noisy(generator, 40, 120)
        pixels[10:30, 2:30, label] = 255
        return Image.fromarray(pixels)

    return look_at(paint, 3)


@pytest.fixture(scope="session")
def halves() -> Look:
    """Photos of 64 pixels, bright on the left or on the right: two classes."""

    def paint(label: int, generator: np.random.Generator) -> Image.Image:
        pixels = noisy(generator, 40, 40)
        pixels[:, 20 * label : 20 * label + 20] += 80
        return Image.fromarray(pixels).resize((64, 64))

    return look_at(paint, 2)
