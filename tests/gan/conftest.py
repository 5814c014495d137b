"""Images of 16 pixels, and small generators for them."""

import pytest
import torch

from nascence.data import Dataset, Split
from nascence.spaces import GeneratorSpace
from nascence.supernets import SuperNet

SPACE = GeneratorSpace(stages=2, width=4, latent=6)


@pytest.fixture(scope="session")
def shades() -> Dataset:
    """Forty images of 16 pixels, each of one shade with noise."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(40) % 2
    noise = torch.randint(0, 60, (40, 3, 16, 16), generator=generator)
    split = Split((noise + 150 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels)
    return Dataset(
        name="shades",
        train=split,
        validation=split,
        class_names=("dark", "bright"),
        mean=(0.4,) * 3,
        std=(0.25,) * 3,
        skipped=(),
        fingerprint="shades",
    )


@pytest.fixture
def generators() -> SuperNet:
    """An untrained supernet of generators."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SuperNet(SPACE, affine="fixed")
