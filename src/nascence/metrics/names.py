"""Metrics by name, as the command line and studies call them."""

from nascence.metrics.metric import Metric, macs, parameters
from nascence.metrics.naswot import naswot

_METRICS: dict[str, Metric] = {
    "macs": macs,
    "naswot": naswot,
    "parameters": parameters,
}


def metric_names() -> tuple[str, ...]:
    """Every name that :func:`metric` knows, in alphabetical order."""
    return tuple(sorted(_METRICS))


def metric(name: str) -> Metric:
    """Return the metric of a name, one of :func:`metric_names`.

    Raises:
        ValueError: an unknown name.
    """
    try:
        return _METRICS[name]
    except KeyError:
        raise ValueError(
            f"unknown metric {name!r}; use one of {', '.join(metric_names())}"
        ) from None
