"""Graphs are frozen, and hold no module and no tensor."""

import dataclasses
from functools import cached_property

import numpy as np
import pytest
import torch
from torch import nn

from nascence.graph import Graph, Node, Parameter, trace
from nascence.hypernet import GHN

WEIGHT = Parameter("head.weight", (10, 4), "weight")
BIAS = Parameter("head.bias", (10,), "bias")
DIAMOND = Graph(
    nodes=(
        Node("input"),
        Node("bn"),
        Node("sum"),
        Node("conv", (WEIGHT,), 40),
        Node("bias", (BIAS,)),
    ),
    edges=((0, 1), (0, 2), (1, 2), (2, 3), (3, 4)),
    outputs=(4,),
)


def test_derived_facts_of_a_small_graph() -> None:
    assert DIAMOND.predecessors == ((), (0,), (0, 1), (2,), (3,))
    assert DIAMOND.levels.tolist() == [0, 1, 2, 3, 4]
    assert DIAMOND.distances[3].tolist() == [2, 2, 1, 0, 0]
    assert DIAMOND.classifiers == {3, 4}
    assert DIAMOND.macs == 40
    assert DIAMOND.nodes[3].flops == 80
    assert DIAMOND.nodes[3].module == "head"
    assert DIAMOND.parameter_count == 50
    assert len(DIAMOND) == 5


def test_frozen_and_equal_by_value() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DIAMOND.nodes = ()  # type: ignore[misc]
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    first, second = (trace(model, torch.empty(1, 3)) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


def test_holds_no_module_and_no_tensor() -> None:
    graph = trace(nn.Linear(3, 4), torch.empty(1, 3))
    for field in dataclasses.fields(graph):
        for item in getattr(graph, field.name):
            parts = item if isinstance(item, tuple) else (item,)
            assert not any(isinstance(part, (torch.Tensor, nn.Module)) for part in parts)
    assert isinstance(graph.distances, np.ndarray)


def test_nobody_writes_to_a_graph() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    graph = trace(model, torch.empty(1, 3, 4, 4))
    with torch.no_grad():
        for ghn in (GHN.ghn1(classes=2), GHN.ghn2(classes=2)):
            ghn([graph])
    own = {name for name, value in vars(Graph).items() if isinstance(value, cached_property)}
    assert set(vars(graph)) <= own | {field.name for field in dataclasses.fields(graph)}


def test_no_classifier_without_a_linear_layer_at_the_end() -> None:
    graph = trace(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), torch.empty(2, 3))
    assert graph.classifiers == frozenset()
