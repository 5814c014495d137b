"""Node states against the published vocabularies and tables."""

import pytest
import torch
from torch import nn

from nascence.graph import trace
from nascence.hypernet import GHN
from nascence.hypernet.embedding import NodeEmbedding, channel_sizes, kernel_sizes, nearest


def test_vocabularies_of_the_paper() -> None:
    channels = channel_sizes(10)
    assert channels[:10] == [1, 3, 8, 10, 16, 24, 32, 40, 48, 56]
    assert channels[10:12] == [64, 80]
    assert channels[-1] == 8192
    assert len(channels) == 391
    assert kernel_sizes(11) == [1, 3, 5, 7, 9, 11, 14, 16]


def test_nearest_entry_and_clipping() -> None:
    channels = channel_sizes(10)
    for value in (1, 2, 5, 12, 64, 71, 4090, 8192, 50_000):
        found = channels[nearest(channels, value)]
        assert abs(found - value) == min(abs(size - value) for size in channels)
    assert [kernel_sizes(11)[nearest(kernel_sizes(11), k)] for k in (1, 2, 4)] == [1, 3, 5]


def test_rows_of_a_graph() -> None:
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.AdaptiveAvgPool2d(1))
    graph = trace(model, torch.empty(1, 3, 8, 8))
    ghn = GHN(width=8, max_shape=(8, 8, 3, 3))
    rows = ghn._plan(graph).rows
    channels, kernels = channel_sizes(10), kernel_sizes(3)
    # input: operation 9 and the dummies; convolution: 4, channels 16 and 3, kernel 3 x 3
    assert rows[0].tolist() == [9, len(channels), len(channels), len(kernels), len(kernels)]
    assert rows[1].tolist() == [4, channels.index(16), channels.index(3), 1, 1]
    table = ghn.embedding
    state = table(rows)[1]
    expected = torch.cat(
        [
            table.channels.weight[channels.index(16)],
            table.channels.weight[channels.index(3)],
            table.kernels.weight[1],
            table.kernels.weight[1],
        ]
    )
    assert torch.allclose(state, expected + table.operations.weight[4])


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="vocabulary is 'all'"):
        NodeEmbedding(8, 10, 3, "all")
    with pytest.raises(ValueError, match="multiple of 4"):
        NodeEmbedding(6, 10, 3, "paper")
