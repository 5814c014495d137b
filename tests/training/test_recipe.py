"""Schedules at known steps, and groups of parameters."""

import pytest

from nascence.training import cosine, parameter_groups


def test_cosine_values() -> None:
    assert cosine(0.0) == 0.0
    assert cosine(0.025) == pytest.approx(0.5)
    assert cosine(0.05) == pytest.approx(1.0)
    assert cosine(0.525) == pytest.approx(0.5)
    assert cosine(1.0) == pytest.approx(0.0)
    assert cosine(0.0, warmup=0.0) == 1.0


def test_groups_hold_every_parameter_once(network) -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    groups = parameter_groups(model)
    held = [parameter for group in groups for parameter in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in model.parameters() if p.requires_grad}
    assert all(p.ndim > 1 for p in groups[0]["params"])
    assert groups[1]["weight_decay"] == 0.0
