"""Overlaps against counted squares and torchvision."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nascence.detect.boxes import area, clip, from_distances, generalised_iou, pairwise_iou


def slow_overlap(first: list[int], second: list[int]) -> tuple[int, int, int]:
    """Unit squares in both, in either and in the smallest box around both, counted one by one."""

    def squares(box: list[int]) -> set[tuple[int, int]]:
        return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}

    hull = [min(first[0], second[0]), min(first[1], second[1])]
    hull += [max(first[2], second[2]), max(first[3], second[3])]
    one, other = squares(first), squares(second)
    return len(one & other), len(one | other), len(squares(hull))


box = st.tuples(*[st.integers(0, 8), st.integers(0, 8), st.integers(1, 6), st.integers(1, 6)]).map(
    lambda c: [c[0], c[1], c[0] + c[2], c[1] + c[3]]
)


@given(box, box)
def test_overlaps_are_those_of_counted_squares(first: list[int], second: list[int]) -> None:
    both, either, hull = slow_overlap(first, second)
    one, other = (torch.tensor([each], dtype=torch.float64) for each in (first, second))
    assert pairwise_iou(one, other).item() == pytest.approx(both / either)
    expected = both / either - (hull - either) / hull
    assert generalised_iou(one, other).item() == pytest.approx(expected)


def random_boxes(count: int, generator: torch.Generator) -> Tensor:
    corner = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    return torch.cat([corner, corner + torch.rand(count, 2, generator=generator)], dim=1)


def test_overlaps_agree_with_torchvision(
    generator: torch.Generator, torchvision_operators: object
) -> None:
    from torchvision.ops import box_iou, generalized_box_iou

    first, second = random_boxes(20, generator), random_boxes(30, generator)
    torch.testing.assert_close(pairwise_iou(first, second), box_iou(first, second))
    ours = generalised_iou(first[:, None], second[None])
    torch.testing.assert_close(ours, generalized_box_iou(first, second))


def test_empty_boxes_overlap_nothing() -> None:
    empty = torch.tensor([[3.0, 3.0, 3.0, 3.0], [5.0, 5.0, 2.0, 2.0]])
    assert area(empty).tolist() == [0.0, 0.0]
    assert pairwise_iou(empty, empty).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert generalised_iou(empty, empty).isfinite().all()


def test_generalised_iou_has_a_gradient_far_away() -> None:
    moving = torch.tensor([[0.0, 0.0, 1.0, 1.0]], requires_grad=True)
    (1 - generalised_iou(moving, torch.tensor([[5.0, 5.0, 6.0, 6.0]]))).sum().backward()
    assert moving.grad is not None
    assert (moving.grad[0, 2:] < 0).all()  # a step downhill moves it towards the other


def test_distances_and_clipping() -> None:
    boxes = from_distances(torch.tensor([[4.0, 5.0]]), torch.tensor([[5.0, 2.0, 3.0, 9.0]]))
    assert boxes.tolist() == [[-1.0, 3.0, 7.0, 14.0]]
    assert clip(boxes, 12, 6).tolist() == [[0.0, 3.0, 6.0, 12.0]]
