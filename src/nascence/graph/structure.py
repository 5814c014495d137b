"""A network as a frozen graph of operations, holding no module and no tensor."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nascence.graph.traversal import Traversal, both_ways
from nascence.graph.virtual_edges import shortest_paths


class GraphError(ValueError):
    """A network cannot be described as a graph; the message names the module or parameter."""


class Parameter(NamedTuple):
    """A learnable tensor.

    Attributes:
        name: As in ``named_parameters()``.
        shape: Its shape.
        role: One of :data:`nascence.graph.ROLES`.
    """

    name: str
    shape: tuple[int, ...]
    role: str


class Node(NamedTuple):
    """One operation.

    Attributes:
        op: One of :data:`nascence.graph.OPERATIONS`.
        parameters: Those that it owns; a tensor used by several operations belongs to the first.
        macs: Multiply-adds of its convolution or matrix products over the whole traced batch.
    """

    op: str
    parameters: tuple[Parameter, ...] = ()
    macs: int = 0

    @property
    def module(self) -> str:
        """Dotted name of the module that holds the first parameter, or an empty string."""
        return self.parameters[0].name.rpartition(".")[0] if self.parameters else ""

    @property
    def flops(self) -> int:
        """Floating-point operations: two for each multiply-add."""
        return 2 * self.macs


@dataclass(frozen=True)
class Graph:
    """Operations in topological order, the edges between them, and where the outputs are.

    A graph is never written to. What can be derived from it is computed on first use and kept.

    Attributes:
        nodes: The operations.
        edges: Pairs ``(source, destination)`` with ``source < destination``, by destination.
        outputs: The nodes that produce what the network returns.
        loops: Pairs that would close a cycle: the output of a shared cell that feeds the cell
            again, as in a fixed-point layer. They take no part in shortest paths.
        unused: Parameters left out on request.
    """

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]
    outputs: tuple[int, ...]
    loops: tuple[tuple[int, int], ...] = ()
    unused: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.nodes)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter, in the order of the nodes."""
        return tuple(parameter for node in self.nodes for parameter in node.parameters)

    @cached_property
    def predecessors(self) -> tuple[tuple[int, ...], ...]:
        """Sources of the edges into every node."""
        sources: list[list[int]] = [[] for _ in self.nodes]
        for source, destination in self.edges:
            sources[destination].append(source)
        return tuple(tuple(row) for row in sources)

    @property
    def macs(self) -> int:
        """Multiply-adds of one forward pass over the traced batch."""
        return sum(node.macs for node in self.nodes)

    @property
    def parameter_count(self) -> int:
        """Number of learnable values."""
        return sum(int(np.prod(parameter.shape)) for parameter in self.parameters)

    @cached_property
    def distances(self) -> NDArray[np.uint8]:
        """``(N, N)`` shortest directed distances, 0 where there is no path of at most 50 edges.

        Entry ``[v, u]`` is the number of edges from node ``u`` to node ``v``. Pairs at distance
        1 are the edges, larger distances are the virtual edges of Knyazev et al. (2021), eq. 4.
        """
        return shortest_paths(self.predecessors)

    @cached_property
    def levels(self) -> NDArray[np.int32]:
        """``(N,)`` edges on the longest path into every node: equal levels are independent."""
        level = [0] * len(self.nodes)
        for node, sources in enumerate(self.predecessors):
            if sources:
                level[node] = 1 + max(level[source] for source in sources)
        return np.asarray(level, dtype=np.int32)

    @cached_property
    def traversals(self) -> tuple[Traversal, Traversal]:
        """The walks of a graph network along the edges and against them."""
        return both_ways(self.distances, self.levels.tolist(), self.edges)

    @cached_property
    def classifiers(self) -> frozenset[int]:
        """Nodes of the layers whose output the network returns: their weight and bias nodes.

        From each output the graph is followed backwards through operations that hold no weight
        (bias, pooling, sum) up to the nearest convolution or linear layer.
        """
        found: set[int] = set()
        seen: set[int] = set()
        stack = list(self.outputs)
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            op = self.nodes[node].op
            if op == "conv":
                found.add(node)
            elif op in ("bias", "sum", "glob_avg", "avg_pool", "max_pool"):
                if op == "bias":
                    found.add(node)
                stack.extend(self.predecessors[node])
        if not any(self.nodes[node].op == "conv" for node in found):
            return frozenset()
        return frozenset(found)
