"""From recorded operations to a graph: what reaches an output, in topological order."""

import dataclasses
from typing import Any

import numpy as np
from torch import Tensor

from nascence.graph.recorder import Recorder, tensors_of
from nascence.graph.structure import Graph, Node, Parameter


def assemble(recorder: Recorder, outputs: Any, input_count: int) -> tuple[Graph, dict[str, str]]:
    """The graph of what reaches ``outputs``, and why other parameters do not."""
    ends = _ends(recorder, outputs)
    sources, loops = _without_markers(recorder)
    count = len(recorder.records)
    order = list(range(count))
    if recorder.reused:
        order, closing = _depth_first(sources)
        loops.update(closing)
    forward = {(u, v) for u, v in loops}
    sources = [[u for u in row if (u, v) not in forward] for v, row in enumerate(sources)]
    kept = _ancestors(sources, ends, loops)
    kept.update(range(input_count))
    order = [node for node in order if node in kept]
    place = {node: index for index, node in enumerate(order)}
    nodes = tuple(_node(recorder, node) for node in order)
    edges = tuple(
        (place[u], place[v]) for v in order for u in sorted(sources[v], key=place.__getitem__)
    )
    closed = tuple(sorted((place[u], place[v]) for u, v in loops if u in place and v in place))
    ends_placed = tuple(place[node] for node in ends)
    missing = {
        name: (
            "its operation does not reach an output"
            if index in recorder.owner
            else "no operation used it"
        )
        for index, name in enumerate(recorder.names)
        if recorder.owner.get(index) not in kept
    }
    return Graph(nodes, edges, ends_placed, closed), missing


def _node(recorder: Recorder, index: int) -> Node:
    record = recorder.records[index]
    parameters = tuple(
        Parameter(recorder.names[p], tuple(recorder.values[p].shape), role)
        for p, role in record.parameters
    )
    return Node(record.op, parameters, record.macs)


def _ends(recorder: Recorder, outputs: Any) -> list[int]:
    """Nodes that produce the outputs, however these are nested."""
    found: dict[int, None] = {}
    for value in _unpacked(outputs):
        for node in recorder.activation(value):
            if node >= 0:
                found[node] = None
    return list(found)


def _unpacked(outputs: Any) -> list[Tensor]:
    if dataclasses.is_dataclass(outputs) and not isinstance(outputs, type):
        return tensors_of(vars(outputs).values())
    if hasattr(outputs, "values") and not isinstance(outputs, (dict, Tensor)):
        return tensors_of(outputs.values())
    return tensors_of((outputs,))


def _without_markers(recorder: Recorder) -> tuple[list[list[int]], set[tuple[int, int]]]:
    """Sources of every node, and the loops that :func:`recorder.loop` marked."""
    if not recorder.cells:
        return [record.sources for record in recorder.records], set()
    sources, loops = [], set()
    for index, record in enumerate(recorder.records):
        sources.append([source for source in record.sources if source >= 0])
        for source in record.sources:
            for end in recorder.cells.get(source, ()):
                loops.add((end, index))
    return sources, loops


def _depth_first(sources: list[list[int]]) -> tuple[list[int], set[tuple[int, int]]]:
    """A topological order, and the edges that had to be left out to have one."""
    consumers: list[list[int]] = [[] for _ in sources]
    for node, row in enumerate(sources):
        for source in row:
            consumers[source].append(node)
    state = np.zeros(len(sources), dtype=np.int8)  # 0 new, 1 on the path, 2 done
    finished: list[int] = []
    loops: set[tuple[int, int]] = set()
    for root in range(len(sources)):
        if state[root]:
            continue
        state[root] = 1
        stack = [(root, iter(sorted(consumers[root], reverse=True)))]
        while stack:
            node, following = stack[-1]
            for consumer in following:
                if state[consumer] == 1:
                    loops.add((node, consumer))
                elif state[consumer] == 0:
                    state[consumer] = 1
                    stack.append((consumer, iter(sorted(consumers[consumer], reverse=True))))
                    break
            else:
                state[node] = 2
                finished.append(node)
                stack.pop()
    return finished[::-1], loops


def _ancestors(sources: list[list[int]], ends: list[int], loops: set[tuple[int, int]]) -> set[int]:
    """Nodes from which an output can be reached, also along the loops."""
    feeding: dict[int, list[int]] = {}
    for source, destination in loops:
        feeding.setdefault(destination, []).append(source)
    kept = set(ends)
    stack = list(ends)
    while stack:
        node = stack.pop()
        for source in (*sources[node], *feeding.get(node, ())):
            if source not in kept:
                kept.add(source)
                stack.append(source)
    return kept
