"""Accuracy, loss and calibration against values worked out by hand."""

import math

import numpy as np
import pytest
import torch

from nascence.inference import judge


def test_three_predictions_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    found = judge(probabilities, np.array([0, 1, 1]))
    assert found.images == 3
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.loss == pytest.approx(-(math.log(0.9) + math.log(0.4) + math.log(0.8)) / 3)
    assert found.brier == pytest.approx((2 * 0.01 + 2 * 0.36 + 2 * 0.04) / 3)
    # each in a bin of its own: |1 - .9|, |0 - .6|, |1 - .8|
    assert found.calibration_error == pytest.approx((0.1 + 0.6 + 0.2) / 3)
    assert found.confusion.tolist() == [[1, 0], [1, 1]]


def test_the_loss_is_that_of_torch() -> None:
    logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50) % 7
    found = judge(logits.softmax(1).numpy(), labels.numpy())
    assert found.loss == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-5
    )
    top = logits.topk(5).indices
    assert found.top5 == pytest.approx(float((top == labels[:, None]).any(1).float().mean()))


def test_perfect_calibration_has_no_error() -> None:
    """Confidence .75, and three of four are right; the bin's upper end belongs to it."""
    probabilities = np.tile([0.75, 0.25], (4, 1))
    found = judge(probabilities, np.array([0, 0, 0, 1]))
    assert found.calibration_error == pytest.approx(0)
    filled = [each for each in found.bins if each.images]
    assert [(each.images, each.accuracy) for each in filled] == [(4, 0.75)]
    assert sum(each.images for each in found.bins) == 4


def test_certainty_is_in_the_last_bin_and_a_certain_mistake_costs_a_finite_loss() -> None:
    found = judge(np.array([[1.0, 0.0]]), np.array([1]))
    assert found.bins[-1].images == 1
    assert found.calibration_error == 1
    assert math.isfinite(found.loss)
    assert found.brier == pytest.approx(2)


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        (np.empty((0, 2)), np.empty(0, int)),
        (np.ones((2, 2)) / 2, np.zeros(3, int)),
        (np.ones((2, 2)) / 2, np.array([0, 2])),
        (np.ones((2, 2)) / 2, np.array([-1, 0])),
    ],
)
def test_what_does_not_go_together(probabilities: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="labels"):
        judge(probabilities, labels)
