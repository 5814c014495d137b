"""Scores of networks that need no training, and how well scores rank."""

from nascence.metrics.metric import Batch, Metric, macs, parameters
from nascence.metrics.naswot import naswot

__all__ = ["Batch", "Metric", "macs", "naswot", "parameters"]
