"""Scores of networks that need no training, and how well scores rank."""

from nascence.metrics.metric import Batch, Metric, macs, parameters
from nascence.metrics.names import metric, metric_names
from nascence.metrics.naswot import naswot
from nascence.metrics.ranking import kendall_tau, spearman, top_kendall_tau

__all__ = [
    "Batch",
    "Metric",
    "kendall_tau",
    "macs",
    "metric",
    "metric_names",
    "naswot",
    "parameters",
    "spearman",
    "top_kendall_tau",
]
