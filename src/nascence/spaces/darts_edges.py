"""The two edges into every node of DARTS cells: which are legal, and how many ways there are."""

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from math import prod

from nascence.spaces.darts_genotype import NODES
from nascence.spaces.darts_network import EDGES, KINDS
from nascence.spaces.decisions import Architecture

INPUTS = 2
"""Edges into a node that are not ``none``."""
# kind of cell, number and first decision of every node: its incoming edges follow one another
INCOMING = tuple(
    (kind, node, offset * len(EDGES) + EDGES.index((0, node)))
    for offset, kind in enumerate(KINDS)
    for node in NODES
)


def check_edges(architecture: Architecture) -> Architecture:
    """Return ``architecture``; raise ``ValueError`` where a node has not exactly two edges."""
    for kind, node, start in INCOMING:
        kept = sum(index != 0 for index in architecture[start : start + node])
        if kept != INPUTS:
            raise ValueError(
                f"architecture has {kept} edges into node {node} of the {kind} cell that are "
                "not none; it must have exactly two"
            )
    return architecture


def count(operations: Sequence[int]) -> int:
    """Count the architectures, each decision having so many ``operations`` beside ``none``."""
    return prod(
        sum(ways for _, ways in _pairs(node, start, operations)) for _, node, start in INCOMING
    )


def position(architecture: Architecture, operations: Sequence[int]) -> int:
    """Return the position of an architecture among all, the last node fastest."""
    number = 0
    for _, node, start in INCOMING:
        low, high = (place for place in range(start, start + node) if architecture[place])
        before = within = whole = 0
        for (first, second), ways in _pairs(node, start, operations):
            if (first, second) == (low, high):
                before = whole
                within = (architecture[low] - 1) * operations[high] + architecture[high] - 1
            whole += ways
        number = number * whole + before + within
    return number


def at_position(index: int, operations: Sequence[int]) -> Architecture:
    """Return the architecture at a position: undoes :func:`position`."""
    indices = [0] * len(operations)
    for _, node, start in reversed(INCOMING):
        pairs = list(_pairs(node, start, operations))
        index, way = divmod(index, sum(ways for _, ways in pairs))
        for (low, high), ways in pairs:
            if way < ways:
                first, second = divmod(way, operations[high])
                indices[low], indices[high] = first + 1, second + 1
                break
            way -= ways
    return tuple(indices)


def numberings(cell: Architecture) -> Iterator[Architecture]:
    """Number the nodes of a cell in all the ways that keep edges leading upwards."""
    kept = [(edge, index) for edge, index in zip(EDGES, cell, strict=True) if index]
    for order in permutations(NODES):
        number = dict(zip((0, 1, *NODES), (0, 1, *order), strict=True))
        if all(number[source] < number[node] for (source, node), _ in kept):
            indices = {(number[source], number[node]): index for (source, node), index in kept}
            yield tuple(indices.get(edge, 0) for edge in EDGES)


def _pairs(
    node: int, start: int, operations: Sequence[int]
) -> Iterator[tuple[tuple[int, int], int]]:
    """The places of two edges into a node, and the ways to choose their operations."""
    for low, high in combinations(range(start, start + node), 2):
        yield (low, high), operations[low] * operations[high]
