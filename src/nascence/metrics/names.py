"""Metrics by name, as the command line and studies call them."""

from nascence.metrics.fisher import fisher
from nascence.metrics.independence import channel_independence
from nascence.metrics.jacobian import epe, jacobian_correlation
from nascence.metrics.live import live_macs
from nascence.metrics.meco import meco
from nascence.metrics.metric import Metric, macs, parameters
from nascence.metrics.naswot import naswot
from nascence.metrics.saliency import gradient_norm, grasp, l2_norm, plain, snip, zico
from nascence.metrics.swap import swap
from nascence.metrics.synflow import synflow
from nascence.metrics.zen import zen

_METRICS: dict[str, Metric] = {
    function.__name__: function
    for function in (
        *(channel_independence, epe, fisher, gradient_norm, grasp, jacobian_correlation, l2_norm),
        *(live_macs, macs, meco, naswot, parameters, plain, snip, swap, synflow, zen, zico),
    )
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
