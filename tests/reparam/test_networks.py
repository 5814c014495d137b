"""Parameter counts in millions: training form (fact sheets of the papers) and folded."""

import pytest
import torch

from nascence.graph import count_parameters
from nascence.reparam import MobileOne, RepVGG, count_kernels, fold


@pytest.mark.parametrize(
    ("name", "training"),
    [("A0", 9.11), ("A1", 14.09), ("A2", 28.21), ("B0", 15.82), ("B1", 57.42)],
)
def test_repvgg_has_the_published_size(name: str, training: float) -> None:
    with torch.device("meta"):
        assert round(count_parameters(RepVGG(name)) / 1e6, 2) == training


@pytest.mark.parametrize(
    ("name", "training"), [("B2", 89.02), ("B3", 123.09), ("B1g2", 45.78), ("B1g4", 39.97)]
)
def test_larger_and_grouped_repvgg_have_the_published_size(name: str, training: float) -> None:
    with torch.device("meta"):
        assert round(count_parameters(RepVGG(name)) / 1e6, 2) == training


def test_folded_repvgg_a0_has_the_published_size(randomise, distance) -> None:
    model, x = randomise(RepVGG("A0", classes=1000)), torch.randn(1, 3, 32, 32)
    folded = fold(model, x)
    assert round(count_parameters(folded) / 1e6, 2) == 8.31
    assert count_kernels(folded, x) == 22 + 22 + 1 + 1
    assert distance(folded(x), model(x)) < 1e-5


def test_mobileone_s0_has_the_published_sizes(randomise, distance) -> None:
    model, x = randomise(MobileOne("S0")), torch.randn(1, 3, 64, 64)
    folded = fold(model, x)
    assert round(count_parameters(model) / 1e6, 2) == 5.29
    assert round(count_parameters(folded) / 1e6, 2) == 2.08
    assert distance(folded(x), model(x)) < 1e-5


@pytest.mark.parametrize(("name", "size"), [("S1", 4.8), ("S2", 7.9), ("S3", 10.2), ("S4", 15.0)])
def test_larger_mobileone_training_forms(name: str, size: float) -> None:
    with torch.device("meta"):
        assert round(count_parameters(MobileOne(name)) / 1e6, 1) == size


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no RepVGG 'A0g2'"):
        RepVGG("A0g2")
    with pytest.raises(ValueError, match="no MobileOne 'S9'"):
        MobileOne("S9")
