"""Scores of networks that need no training, and how well scores rank."""

from nascence.metrics.metric import Batch, Metric, macs, parameters
from nascence.metrics.naswot import naswot
from nascence.metrics.ranking import kendall_tau, spearman, top_kendall_tau

__all__ = [
    "Batch",
    "Metric",
    "kendall_tau",
    "macs",
    "naswot",
    "parameters",
    "spearman",
    "top_kendall_tau",
]
