"""What was built: its cost, and the graph of its operations."""

from nascence.graph.cost import Latency, count_macs, count_parameters, measure_latency
from nascence.graph.picture import draw
from nascence.graph.recorder import is_tracing, loop
from nascence.graph.structure import Graph, GraphError, Node, Parameter
from nascence.graph.trace import trace
from nascence.graph.virtual_edges import CUTOFF, shortest_paths
from nascence.graph.vocabulary import NEAREST_PRIMITIVE, OPERATIONS, PRIMITIVES, ROLES

__all__ = [
    "CUTOFF",
    "Graph",
    "GraphError",
    "Latency",
    "NEAREST_PRIMITIVE",
    "Node",
    "OPERATIONS",
    "PRIMITIVES",
    "Parameter",
    "ROLES",
    "count_macs",
    "count_parameters",
    "draw",
    "is_tracing",
    "loop",
    "measure_latency",
    "shortest_paths",
    "trace",
]
