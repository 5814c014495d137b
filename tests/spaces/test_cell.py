"""The cell against its definition, edge by edge."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from nascence.spaces.cell import (
    EDGES,
    OPERATIONS,
    Cell,
    Reduction,
    candidates,
    convolution,
    identity_convolution,
    live_edges,
)


def cell_of(operations: tuple[str, ...], channels: int) -> Cell:
    return Cell([build() for build in candidates(operations, channels, conv=convolution)])


def published_cell(cell: Cell, operations: tuple[str, ...], x: Tensor) -> Tensor:
    """Every node the sum over its edges of operation(source), each operation as published."""
    nodes = [x]
    for target in (1, 2, 3):
        total = torch.zeros_like(x)
        for (source, end), operation in zip(EDGES, operations, strict=True):
            if end != target or operation == "none":
                continue
            value = nodes[source]
            if "conv" in operation:
                value = cell.edges[f"{source}_{target}"](value.relu())
            elif operation == "avg_pool_3x3":
                value = nn.functional.avg_pool2d(value, 3, 1, 1, count_include_pad=False)
            total = total + value
        nodes.append(total)
    return nodes[3]


@pytest.mark.parametrize("seed", range(20))
def test_cell_is_the_sum_over_its_edges(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    picks = torch.randint(5, (6,), generator=generator)
    operations = tuple(OPERATIONS[pick] for pick in picks)
    cell = cell_of(operations, 3)
    x = torch.randn(2, 3, 5, 5, generator=generator)
    torch.testing.assert_close(cell(x), published_cell(cell, operations, x))


def test_live_edges_are_those_on_a_path() -> None:
    """Against all four paths from the input to the output, for all patterns of ``none``."""
    paths = [{0, 2, 5}, {0, 4}, {1, 5}, {3}]
    for pattern in product((True, False), repeat=6):
        operations = tuple("skip_connect" if there else "none" for there in pattern)
        whole = [path for path in paths if all(pattern[edge] for edge in path)]
        expected = tuple(any(edge in path for path in whole) for edge in range(6))
        assert live_edges(operations) == expected


def test_convolutions_of_a_node_share_one_relu() -> None:
    operations = ("nor_conv_3x3", "nor_conv_1x1", "none", "nor_conv_3x3", "skip_connect", "none")
    cell = cell_of(operations, 3)
    calls = []
    cell.relu.register_forward_hook(lambda *_: calls.append(1))
    cell(torch.randn(1, 3, 4, 4))
    assert len(calls) == 1


def test_reduction_halves_the_side() -> None:
    assert Reduction(4, 6)(torch.randn(2, 4, 8, 8)).shape == (2, 6, 4, 4)


def test_identity_convolution_starts_near_the_identity() -> None:
    torch.manual_seed(0)
    plain = torch.nn.Conv2d(4, 4, 3, padding=1, bias=False)
    torch.manual_seed(0)
    near = identity_convolution(4, 4, kernel_size=3, padding=1)
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(near[0](x), x + plain(x))
    torch.manual_seed(0)
    wider = identity_convolution(4, 8, kernel_size=3, padding=1)
    torch.manual_seed(0)
    expected = torch.nn.Conv2d(4, 8, 3, padding=1, bias=False)
    torch.testing.assert_close(wider[0].weight, expected.weight)
