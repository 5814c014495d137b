"""Graphs of DeepNets against traced ones, in any order."""

import pytest
import torch

from nascence.graph import count_macs, trace
from nascence.spaces.deepnets import SPLITS, DeepNets


@pytest.mark.parametrize("split", SPLITS)
def test_graph_from_the_genome_equals_the_traced_graph(split: str) -> None:
    networks = DeepNets(split)
    for index in range(2 if split == "predefined" else 6):
        with torch.device("meta"):
            model = networks.network(index)
        assert trace(model, torch.empty(1, 3, 32, 32, device="meta")) == networks.graph(index)


def test_other_sizes_and_classes() -> None:
    for size, classes in ((16, 10), (64, 100), (224, 7)):
        networks = DeepNets(image_size=size, classes=classes, cells=(4, 6), channels=(16,))
        for index in range(2):
            with torch.device("meta"):
                model = networks.network(index)
            image = torch.empty(1, 3, size, size, device="meta")
            assert model(image).shape == (1, classes)
            graph = networks.graph(index)
            assert trace(model, image) == graph
            assert graph.macs == count_macs(model, image)


def test_network_k_does_not_depend_on_what_came_before() -> None:
    forwards = [DeepNets("val").graph(index) for index in (0, 1, 2)]
    networks = DeepNets("val")
    backwards = [networks.graph(index) for index in (2, 1, 0)]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 3
    assert DeepNets("test").graph(0) != forwards[0]


def test_real_forward_and_initial_values() -> None:
    networks = DeepNets(image_size=16, cells=(4, 5), channels=(16,))
    for index in range(4):
        first = networks.network(index, generator=torch.Generator().manual_seed(1))
        second = networks.network(index, generator=torch.Generator().manual_seed(1))
        x = torch.randn(2, 3, 16, 16)
        assert torch.isfinite(first(x)).all()
        assert torch.equal(first(x), second(x))
        state = torch.get_rng_state()
        graph, module = networks[index]
        assert graph == networks.graph(index)
        assert torch.equal(module(x), networks[index][1](x))
        assert torch.equal(state, torch.get_rng_state())
        same, function = networks.skeleton(index)
        assert same == graph
        assert function.layers == networks.layers(index)


def test_sizes_of_the_splits() -> None:
    train = DeepNets()
    limits = {"val": (2.5e6, 40e6), "deep": (2.5e6, 100e6), "wide": (15e6, 130e6)}
    for split, (low, high) in limits.items():
        counts = [DeepNets(split).graph(index).parameter_count for index in range(8)]
        assert all(low <= count <= high for count in counts), (split, counts)
    assert all(train.graph(index).parameter_count <= 10_000_000 for index in range(20))
    bare = DeepNets("bn-free")
    for index in range(8):
        assert "bn" not in {node.op for node in bare.graph(index).nodes}
    limited = DeepNets(image_size=16, max_macs=2_000_000, cells=(4, 6), channels=(16,))
    assert all(limited.graph(index).macs <= 2_000_000 for index in range(5))


def test_widths_shrink_with_parameters_and_cells() -> None:
    networks = DeepNets()
    for index in range(30):
        graph = networks.graph(index)
        stem = max(p.shape[0] for p in graph.parameters if p.name.startswith("stem"))
        cells = 1 + max(int(p.name.split(".")[1]) for p in graph.parameters if "cells" in p.name)
        if cells > 12:
            # channels 32; a simple stem has three times as many
            assert stem in (32, 96)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="split is 'dev'; it must be one of train"):
        DeepNets("dev")
    with pytest.raises(IndexError, match="split 'val' has 0 to 499"):
        DeepNets("val").graph(500)
    with pytest.raises(ValueError, match="image_size is 4"):
        DeepNets(image_size=4)
    with pytest.raises(ValueError, match="predefined networks have no"):
        DeepNets("predefined", channels=(16,))
