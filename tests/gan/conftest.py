"""Images of 16 pixels, and small generators for them."""

import pytest
import torch

from nascence.data import Dataset
from nascence.spaces import GeneratorSpace
from nascence.supernets import SuperNet
from tests.datasets_for_tests import bright_or_dark

SPACE = GeneratorSpace(stages=2, width=4, latent=6)


@pytest.fixture(scope="session")
def shades() -> Dataset:
    """Forty images of 16 pixels, each of one shade with noise."""
    return bright_or_dark(40, 16, noise=60, gap=150, name="shades")


@pytest.fixture
def generators() -> SuperNet:
    """An untrained supernet of generators."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SuperNet(SPACE, affine="fixed")
