"""The head at its start, its order of places, and its errors."""

import math

import pytest
import torch

from nascence.detect.head import DetectionHead


def levels(channels: int = 16) -> list[torch.Tensor]:
    return [torch.randn(2, channels, side, side) for side in (4, 2)]


def test_starts_at_the_prior_and_at_two_strides() -> None:
    head = DetectionHead(16, 3, (8, 16), convolutions=1)
    predictions = head([torch.zeros_like(each) for each in levels()])
    assert predictions.logits.shape == (2, 20, 3)
    assert predictions.logits.sigmoid().unique().item() == pytest.approx(0.01)
    assert predictions.distances[0, :, 0].tolist() == pytest.approx([16.0] * 16 + [32.0] * 4)
    assert predictions.centreness.shape == (2, 20)


def test_places_are_in_the_order_of_rows() -> None:
    head = DetectionHead(8, 1, (8,), convolutions=0)
    with torch.no_grad():
        head.class_output.weight.zero_()
        head.class_output.weight[0, 0, 1, 1] = 1.0
        head.class_output.bias.zero_()  # type: ignore[union-attr]
    level = torch.zeros(1, 8, 2, 3)
    level[0, 0] = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert head([level]).logits.flatten().tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_wild_inputs_stay_finite() -> None:
    head = DetectionHead(16, 3, (8, 16))
    with torch.no_grad():
        head.box_output.weight.mul_(1e6)
    predictions = head(levels())
    assert predictions.distances.isfinite().all()
    assert predictions.distances.max() <= 16 * math.exp(DetectionHead.LOG_LIMIT) * 1.001


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="classes is 0"):
        DetectionHead(16, 0, (8,))
    with pytest.raises(ValueError, match="prior is 1"):
        DetectionHead(16, 1, (8,), prior=1.0)
    with pytest.raises(ValueError, match="2 levels; this head has 1"):
        DetectionHead(16, 3, (8,))(levels())
