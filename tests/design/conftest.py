"""A small data set for the stages of a run."""

import pytest
import torch

from nascence.data import Dataset, Split


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
