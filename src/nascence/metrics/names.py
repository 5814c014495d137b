"""Scores by name, as the command line and studies call them."""

from nascence import registry
from nascence.metrics.metric import Metric


def metric_names() -> tuple[str, ...]:
    """Return every name that :func:`metric` knows, in alphabetical order."""
    return registry.names("score")


def metric(name: str) -> Metric:
    """Return the score of a name, one of :func:`metric_names`.

    Raises:
        ValueError: An unknown name.
    """
    found: Metric = registry.find(name, "score", called="metric").load()
    return found
