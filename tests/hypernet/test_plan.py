"""Kernels of one size are decoded together."""

import torch
from torch import nn

from nascence.graph import trace
from nascence.hypernet import GHN


def test_kernels_of_one_size_are_one_group_and_every_parameter_is_asked_for_once() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, bias=False),
        nn.Conv2d(8, 20, 3, bias=False),
        nn.Flatten(),
        nn.Linear(20 * 100, 10),
    )
    graph = trace(model, torch.empty(1, 3, 16, 16))
    ghn = GHN(width=8, max_shape=(8, 8, 3, 3))
    plan = ghn._plan(graph)
    assert plan is ghn._plan(graph)
    items = [item for group in plan.groups for item in group.items] + plan.vectors
    assert sorted(item.name for item in items) == sorted(p.name for p in graph.parameters)
    assert plan.total == sum(p.numel() for p in model.parameters())
    groups = {group.size: group for group in plan.groups}
    # what is wider than the decoder is asked for as its largest block
    assert [item.name for item in groups[8, 8, 3, 3].items] == ["2.weight", "3.weight"]
    assert groups[8, 3, 3, 3].nodes.tolist() == [1]
    assert [group.kind for group in plan.groups].count("class_weight") == 1
    gains = groups[8, 8, 3, 3].gains.flatten()
    assert torch.allclose(gains, torch.full((2,), (2 / 72) ** 0.5))
    for group in plan.groups:
        for node, item in zip(group.nodes.tolist(), group.items, strict=True):
            assert item.name in {parameter.name for parameter in graph.nodes[node].parameters}
