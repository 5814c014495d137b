"""What was built: its cost, and the graph of its operations."""

from nascence.graph.cost import Latency, count_macs, count_parameters, measure_latency

__all__ = ["Latency", "count_macs", "count_parameters", "measure_latency"]
