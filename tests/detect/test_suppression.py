"""Suppression against a loop over boxes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nascence.detect.boxes import pairwise_iou
from nascence.detect.suppression import suppress


def slow_suppress(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> list[int]:
    left = sorted(range(len(scores)), key=lambda i: (-scores[i].item(), i))
    kept = []
    while left:
        best, *rest = left
        kept.append(best)
        left = [
            i
            for i in rest
            if labels[i] != labels[best]
            or pairwise_iou(boxes[i : i + 1], boxes[best : best + 1]).item() <= threshold
        ]
    return kept


@given(st.integers(0, 2**32), st.integers(0, 25), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_agrees_with_the_obvious_way(seed: int, count: int, threshold: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 8, (count, 2), generator=generator)
    boxes = torch.cat([corner, corner + torch.randint(1, 9, (count, 2), generator=generator)], 1)
    scores = torch.randint(0, 10, (count,), generator=generator) / 10  # with ties
    labels = torch.randint(0, 2, (count,), generator=generator)
    kept = suppress(boxes.double(), scores, labels, threshold=threshold)
    assert kept.tolist() == slow_suppress(boxes.double(), scores, labels, threshold)
    again = suppress(
        *(each[kept] for each in (boxes.double(), scores, labels)), threshold=threshold
    )
    assert again.tolist() == list(range(len(kept)))


def test_a_box_that_went_suppresses_nothing() -> None:
    # each overlaps the next by half; the second goes for the first, so the third stays
    boxes = torch.tensor([[0.0, 0.0, 4.0, 1.0], [1.0, 0.0, 5.0, 1.0], [2.0, 0.0, 6.0, 1.0]])
    kept = suppress(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3), threshold=0.5)
    assert kept.tolist() == [0, 2]


@pytest.mark.parametrize("change", [{"threshold": 1.5}, {"labels": torch.zeros(2)}])
def test_bad_arguments_are_named(change: dict[str, object]) -> None:
    arguments = {"boxes": torch.zeros(3, 4), "scores": torch.zeros(3), "labels": torch.zeros(3)}
    with pytest.raises(ValueError, match=r"threshold is|labels \(2,\)"):
        suppress(**{**arguments, **change})  # type: ignore[arg-type]
