"""Networks by number for meta-training."""

from typing import Any, cast

import pytest
import torch
from torch import nn

from nascence.spaces import NB201, SearchSpace
from nascence.spaces.meta_networks import SpaceNetworks, VisionTransformers

IMAGES = torch.randn(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
SPACE = NB201(classes=4, in_channels=3, width=(8, 16), cells=1)


def test_networks_of_a_space_follow_from_their_number() -> None:
    networks = SpaceNetworks(SPACE, image_size=16)
    graph, network = networks(5)
    again, _ = networks(5)
    other, _ = networks(6)
    assert graph.parameters == again.parameters
    assert (graph.parameters, graph.edges) != (other.parameters, other.edges)
    assert all(value.is_meta for value in network.parameters())
    named = {name: tuple(value.shape) for name, value in network.named_parameters()}
    assert {p.name: p.shape for p in graph.parameters} == named


def test_a_network_that_ignores_its_image_is_drawn_again() -> None:
    networks = SpaceNetworks(Ends(), image_size=16)
    for index in range(6):
        graph, _ = networks(index)
        assert len(graph.parameters) == 4
    with pytest.raises(ValueError, match="none of 200 architectures of"):
        SpaceNetworks(Ends(nothing_else=True), image_size=16)(0)


class Ends(NB201):
    """A space of one decision: use the image, or hide it from the classifier."""

    def __init__(self, *, nothing_else: bool = False) -> None:
        super().__init__(classes=4, in_channels=3, width=8, cells=1)
        self.nothing_else = nothing_else

    def sample(self, *, generator: torch.Generator) -> Any:
        return (int(torch.randint(2, (), generator=generator)),)

    def build(self, architecture: Any) -> nn.Module:
        hidden = architecture == (0,) or self.nothing_else
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), Hide() if hidden else nn.ReLU(), nn.Flatten(), nn.Linear(784, 4)
        )


class Hide(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


def test_large_networks_are_drawn_again() -> None:
    free, limited = (SpaceNetworks(SPACE, image_size=16, max_macs=m) for m in (None, 1_000_000))
    assert max(free(k)[0].macs for k in range(12)) > 1_000_000
    assert max(limited(k)[0].macs for k in range(12)) <= 1_000_000
    with pytest.raises(ValueError, match="counts no multiply-adds; leave max_macs out"):
        SpaceNetworks(cast(SearchSpace, Uncounted()), image_size=16, max_macs=1)


class Uncounted:
    """A space that counts nothing."""

    description = "uncounted"


def test_transformers_differ_and_are_small() -> None:
    transformers = VisionTransformers(classes=4, image_size=16)
    sizes = {len(transformers(k)[0]) for k in range(12)}
    assert len(sizes) > 2
    graph, function = transformers(0)
    values = {p.name: torch.zeros(p.shape) for p in graph.parameters}
    assert function(values, IMAGES).shape == (20, 4)
