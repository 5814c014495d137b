"""Shortest paths against a breadth-first search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.graph import shortest_paths


@st.composite
def acyclic(draw: st.DrawFn) -> list[tuple[int, ...]]:
    count = draw(st.integers(1, 20))
    return [
        tuple(sorted(draw(st.sets(st.integers(0, node - 1), max_size=3)))) if node else ()
        for node in range(count)
    ]


def breadth_first(predecessors: list[tuple[int, ...]], cutoff: int) -> np.ndarray:
    """Distances by walking forwards from every node."""
    count = len(predecessors)
    found = np.zeros((count, count), dtype=np.int32)
    for start in range(count):
        frontier, seen, distance = {start}, {start}, 0
        while frontier and distance < cutoff:
            distance += 1
            frontier = {v for v in range(count) if set(predecessors[v]) & frontier} - seen
            for node in frontier:
                found[node, start] = distance
            seen |= frontier
    return found


@settings(max_examples=60, deadline=None)
@given(acyclic(), st.sampled_from([1, 2, 5, 50]))
def test_equals_breadth_first_search(predecessors: list[tuple[int, ...]], cutoff: int) -> None:
    result = shortest_paths(predecessors, cutoff=cutoff)
    assert np.array_equal(result, breadth_first(predecessors, cutoff))


def test_a_chain_is_cut_off_at_fifty() -> None:
    chain = [(), *((node,) for node in range(59))]
    distances = shortest_paths(chain)
    assert distances[50, 0] == 50
    assert distances[51, 0] == 0
    assert distances.max() == 50


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="cutoff is 0"):
        shortest_paths([()], cutoff=0)
    with pytest.raises(ValueError, match="node 0 comes before"):
        shortest_paths([(1,), ()])
