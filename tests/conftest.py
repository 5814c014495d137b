"""Settings shared by every test."""

import os

# Tests run in two processes on two cores: one thread each is both faster and repeatable.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from nascence.data import Dataset
from nascence.spaces import SmallSpace
from nascence.supernets import SuperNet
from tests.datasets_for_tests import bright_or_dark

torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def torchvision_operators() -> torch.library.Library:
    """torchvision imports beside a CPU-only torch only where these two operators exist."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define(
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    )
    return library


@pytest.fixture(scope="session")
def brightness() -> Dataset:
    """Sixty-four images of 8 pixels: dark ones and bright ones."""
    return bright_or_dark()


@pytest.fixture
def supernet() -> SuperNet:
    """Untrained, of width 4 and two classes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SuperNet(SmallSpace(width=4, classes=2))
