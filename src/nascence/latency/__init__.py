"""Latency of networks as the sum of operators measured on this machine."""

from nascence.latency.measurement import measure_latencies
from nascence.latency.operators import OperatorTimes
from nascence.latency.table import LatencyTable, LatencyTerm, read_latencies

__all__ = [
    "LatencyTable",
    "LatencyTerm",
    "OperatorTimes",
    "measure_latencies",
    "read_latencies",
]
