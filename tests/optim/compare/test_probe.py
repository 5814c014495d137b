"""The probe of implicit regularisation, where its answer is known."""

import math

import pytest
import torch

from nascence.optim import SGD, Adam, AdamW, load
from nascence.optim.compare.probe import probe, starts, valley


def test_the_loss_is_least_on_the_line_alone(generator: torch.Generator) -> None:
    place = torch.randn(100, generator=generator)
    for x in place:
        assert valley({"x": x, "y": x}) == 0
        assert valley({"x": x, "y": x + 0.1}) == pytest.approx(0.005, rel=1e-4)
    points = starts()
    assert points.norm(dim=1) == pytest.approx(torch.full((10,), 2.0))
    assert ((points[:, 0] - points[:, 1]).abs() > 0.1).all()
    assert (points.sum(1).abs() > 0.1).all()


def test_gradient_descent_ends_at_the_nearest_point_in_closed_form() -> None:
    rate, steps = 0.05, 60
    found = probe(SGD(rate, momentum=0.0), steps=steps)
    first = starts()
    middle = first.mean(1, keepdim=True)
    # x - y shrinks by (1 - 2 rate) in a step and x + y stays
    expected = middle + (first - middle) * (1 - 2 * rate) ** steps
    torch.testing.assert_close(found.trajectories[:, -1], expected, rtol=1e-4, atol=1e-5)
    assert found.trajectories.shape == (10, steps + 1, 2)
    assert torch.equal(found.trajectories[:, 0], first)
    torch.testing.assert_close(found.along, torch.ones(10), rtol=1e-4, atol=1e-5)
    distance = (first[:, 0] - first[:, 1]).abs() / math.sqrt(2) * (1 - 2 * rate) ** steps
    torch.testing.assert_close(found.distance, distance, rtol=1e-3, atol=1e-6)


def test_adam_stops_at_the_nearest_point_and_weight_decay_goes_to_the_origin() -> None:
    adam = probe(Adam(0.02), steps=300)
    assert adam.distance.max() < 2e-3
    assert (adam.along - 1).abs().max() < 2e-3
    decayed = probe(AdamW(0.02, weight_decay=1.0), steps=300)
    assert decayed.distance.max() < 0.01
    assert decayed.along.max() < 0.1


def test_learned_optimizers_go_down_too() -> None:
    found = probe(load("optimizer-small"), steps=200, points=torch.tensor([[0.5, -0.2]]))
    assert found.trajectories.shape == (1, 201, 2)
    assert found.distance[0] < 0.3


def test_a_start_across_from_the_origin_has_no_place_along() -> None:
    found = probe(Adam(0.01), steps=2, points=torch.tensor([[1.0, -1.0]]))
    assert found.along.isnan().all()


def test_steps_are_positive() -> None:
    with pytest.raises(ValueError, match="steps is 0"):
        probe(Adam(), steps=0)
