"""The networks of a meta-training by name."""

from collections import Counter
from functools import partial

import pytest
from torch import nn

from nascence.jobs.ghn_networks import networks_of, training_networks
from nascence.spaces.deepnets_function import LayerFunction

SMALL = partial(networks_of, size=8, cells=(4, 5), channels=(16,), max_macs=3_000_000)
TRAINING = partial(
    training_networks, classes=10, size=8, cells=(4, 5), channels=(16,), max_macs=3_000_000
)


def test_networks_of_the_splits() -> None:
    for index in range(4):
        assert SMALL("train", classes=10).graph(index).macs <= 3_000_000
        wide = SMALL("wide", classes=10).graph(index)
        assert max(p.shape[0] for p in wide.parameters) >= 64
        assert len(SMALL("deep", classes=10).graph(index)) > 45
    assert SMALL("predefined", classes=7).classes == 7


def test_deepnets_alone_are_numbered_as_ever() -> None:
    networks, count = TRAINING({"deepnets": 1.0})
    assert count == 1_000_000
    graph, _ = networks(7)
    assert graph.parameters == SMALL("train", classes=10).graph(7).parameters


def test_kinds_come_by_their_shares() -> None:
    networks, count = TRAINING({"bn-free": 1.0, "vit": 1.0, "nb201": 2.0})
    assert count == 2**31
    kinds: Counter[str] = Counter()
    for index in range(60):
        graph, network = networks(index)
        operations = {node.op for node in graph.nodes}
        if isinstance(network, nn.Module):
            kinds["nb201"] += 1
            continue
        assert isinstance(network, LayerFunction)
        layers = {layer.kind for layer in network.layers}
        assert "bn" not in layers, operations
        kinds["vit" if len({*layers} & {"conv"}) and "pos_enc" in layers else "bn-free"] += 1
    # thirty are expected of sixty draws, with a standard deviation of four
    assert 15 <= kinds["nb201"] <= 45
    assert kinds["vit"] + kinds["bn-free"] == 60 - kinds["nb201"]


def test_what_cannot_be_trained_on_is_named() -> None:
    with pytest.raises(ValueError, match="--networks has 'resnet'; it may have deepnets, bn-free"):
        TRAINING({"resnet": 1.0})
    with pytest.raises(ValueError, match="none of 200 architectures of GeneratorSpace"):
        TRAINING({"gan": 1.0})
