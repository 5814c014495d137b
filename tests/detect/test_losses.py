"""Losses of detectors by hand and against torchvision."""

import math

import pytest
import torch
import torch.nn.functional as F

from nascence.detect.assignment import Targets
from nascence.detect.losses import Predictions, detection_losses, focal_loss, stack_targets


def test_focal_loss_by_hand() -> None:
    logits = torch.tensor([math.log(9.0), math.log(9.0)])  # probability 0.9
    expected = [-0.25 * 0.1**2 * math.log(0.9), -0.75 * 0.9**2 * math.log(0.1)]
    assert focal_loss(logits, torch.tensor([1.0, 0.0])).tolist() == pytest.approx(expected)


def test_focal_loss_without_focus_is_half_the_cross_entropy(generator: torch.Generator) -> None:
    logits = torch.randn(50, generator=generator)
    targets = (torch.rand(50, generator=generator) > 0.5).float()
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    torch.testing.assert_close(focal_loss(logits, targets, alpha=0.5, gamma=0.0), entropy / 2)


def test_focal_loss_agrees_with_torchvision(
    generator: torch.Generator, torchvision_operators: object
) -> None:
    from torchvision.ops import sigmoid_focal_loss

    logits = 5 * torch.randn(200, generator=generator)
    targets = (torch.rand(200, generator=generator) > 0.5).float()
    torch.testing.assert_close(focal_loss(logits, targets), sigmoid_focal_loss(logits, targets))


def two_places() -> tuple[Predictions, Targets, torch.Tensor]:
    """One image, two classes, two places: one with an object of class 1, one without."""
    points = torch.tensor([[4.0, 4.0], [12.0, 4.0]])
    targets = Targets(
        torch.tensor([[1, -1]]),
        torch.tensor([[[2.0, 2.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0]]]),
        torch.tensor([[1.0, 0.0]]),
    )
    predictions = Predictions(
        torch.zeros(1, 2, 2), torch.tensor([[[2.0, 2.0, 6.0, 2.0], [1.0] * 4]]), torch.zeros(1, 2)
    )
    return predictions, targets, points


def test_losses_by_hand() -> None:
    losses = detection_losses(*two_places())
    zero, one = 0.75 * 0.25 * math.log(2), 0.25 * 0.25 * math.log(2)
    assert losses.classification.item() == pytest.approx(3 * zero + one)
    assert losses.boxes.item() == pytest.approx(1 - 16 / 32)  # inside, so GIoU is IoU
    assert losses.centreness.item() == pytest.approx(math.log(2))


def test_a_perfect_prediction_costs_nothing() -> None:
    _, targets, points = two_places()
    logits = torch.full((1, 2, 2), -40.0)
    logits[0, 0, 1] = 40.0
    perfect = Predictions(logits, targets.distances + 1e-12, torch.full((1, 2), 40.0))
    assert sum(detection_losses(perfect, targets, points)).item() < 1e-6


def test_no_object_at_all_leaves_a_finite_loss_with_gradients() -> None:
    predictions, targets, points = two_places()
    nothing = Targets(torch.full((1, 2), -1), targets.distances, targets.centreness)
    leaves = Predictions(*(each.clone().requires_grad_() for each in predictions))
    losses = detection_losses(leaves, nothing, points)
    assert losses.boxes.item() == losses.centreness.item() == 0.0
    sum(losses).backward()  # type: ignore[union-attr]
    assert all(each.grad is not None and each.grad.isfinite().all() for each in leaves)


def test_targets_are_stacked() -> None:
    one = Targets(torch.tensor([1]), torch.ones(1, 4), torch.ones(1))
    assert [each.shape[0] for each in stack_targets([one, one, one])] == [3, 3, 3]
