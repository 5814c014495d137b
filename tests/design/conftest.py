"""A small data set for the stages of a run, and runs on it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nascence.data import Dataset, Split
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
