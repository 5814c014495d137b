"""Scores of networks that need no training, and how well scores rank."""

from nascence.metrics.combination import RankSum, Vote, population_scores
from nascence.metrics.fisher import fisher
from nascence.metrics.generation import Moments, classifier_score, frechet_distance, moments
from nascence.metrics.independence import channel_independence
from nascence.metrics.jacobian import epe, jacobian_correlation
from nascence.metrics.live import live_macs
from nascence.metrics.meco import meco
from nascence.metrics.metric import Batch, Metric, macs, parameters
from nascence.metrics.names import metric, metric_names
from nascence.metrics.naswot import naswot
from nascence.metrics.ranking import kendall_tau, spearman, top_kendall_tau
from nascence.metrics.saliency import (
    gradient_norm,
    grasp,
    l2_norm,
    plain,
    saliencies,
    snip,
    zico,
)
from nascence.metrics.swap import swap
from nascence.metrics.synflow import synflow
from nascence.metrics.zen import zen

__all__ = [
    "Batch",
    "Metric",
    "Moments",
    "RankSum",
    "Vote",
    "channel_independence",
    "classifier_score",
    "epe",
    "fisher",
    "frechet_distance",
    "gradient_norm",
    "grasp",
    "jacobian_correlation",
    "kendall_tau",
    "l2_norm",
    "live_macs",
    "macs",
    "meco",
    "metric",
    "metric_names",
    "moments",
    "naswot",
    "parameters",
    "plain",
    "population_scores",
    "saliencies",
    "snip",
    "spearman",
    "swap",
    "synflow",
    "top_kendall_tau",
    "zen",
    "zico",
]
