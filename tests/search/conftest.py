"""A data set of two classes, and a supernet of the small space, both tiny."""

import pytest
import torch

from nascence.data import Dataset, Split
from nascence.spaces import Small, SuperNet


@pytest.fixture(scope="session")
def brightness() -> Dataset:
    """Sixty-four images of 8 pixels: dark ones and bright ones."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(64) % 2
    noise = torch.randint(0, 100, (64, 3, 8, 8), generator=generator)
    split = Split((noise + 100 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels)
    return Dataset(
        name="brightness",
        train=split,
        validation=split,
        class_names=("dark", "bright"),
        mean=(0.4,) * 3,
        std=(0.25,) * 3,
        skipped=(),
        fingerprint="brightness",
    )


@pytest.fixture
def supernet() -> SuperNet:
    """Untrained, of width 4 and two classes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SuperNet(Small(width=4, classes=2))
