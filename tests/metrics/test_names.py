"""Metrics by name."""

import pytest

from nascence.metrics import metric, metric_names, naswot


def test_every_name_has_its_metric() -> None:
    assert metric("naswot") is naswot
    assert metric_names() == tuple(sorted(metric_names()))
    assert all(callable(metric(name)) for name in metric_names())


def test_an_unknown_name_is_one_line_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^there is no metric 'accuracy'; use one of .*naswot"):
        metric("accuracy")
