"""Assignment against a loop over places and objects."""

import math

import pytest
import torch

from nascence.detect.assignment import assign, centreness, places
from nascence.detect.boxes import Objects, from_distances


def slow_assign(at, objects, radius):  # type: ignore[no-untyped-def]
    """Labels and distances by one loop over places and objects."""
    labels, distances = [], []
    for point, stride, low, high in zip(*at, strict=True):
        best, label, chosen = math.inf, -1, [0.0] * 4
        for box, name in zip(objects.boxes.tolist(), objects.labels.tolist(), strict=True):
            x, y = point.tolist()
            sides = [x - box[0], y - box[1], box[2] - x, box[3] - y]
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            near = max(abs(x - middle[0]), abs(y - middle[1])) <= radius * stride
            size = (box[2] - box[0]) * (box[3] - box[1])
            if min(sides) > 0 and near and low < max(sides) <= high and size < best:
                best, label, chosen = size, name, sides
        labels.append(label)
        distances.append(chosen)
    return labels, distances


@pytest.mark.parametrize("radius", [0.5, 1.5, 9.0])
def test_agrees_with_the_obvious_way(radius: float, generator: torch.Generator) -> None:
    at = places([(8, 12), (4, 6), (2, 3)], [8, 16, 32], reach=3.0)
    corner = torch.randint(0, 50, (9, 2), generator=generator)
    size = torch.randint(4, 50, (9, 2), generator=generator)
    objects = Objects(torch.cat([corner, corner + size], 1).float(), torch.arange(9))
    targets = assign(at, objects, radius=radius)
    labels, distances = slow_assign(at, objects, radius)
    assert targets.labels.tolist() == labels
    assert targets.distances.tolist() == distances
    assert (targets.labels >= 0).any()


def test_places_are_the_centres_of_cells() -> None:
    at = places([(2, 3), (1, 2)], [8, 16], reach=4.0)
    assert at.points[:4].tolist() == [[4.0, 4.0], [12.0, 4.0], [20.0, 4.0], [4.0, 12.0]]
    assert at.points[6:].tolist() == [[8.0, 8.0], [24.0, 8.0]]
    assert at.strides.tolist() == [8.0] * 6 + [16.0] * 2
    assert at.least.tolist() == [0.0] * 6 + [32.0] * 2
    assert at.most.tolist() == [32.0] * 6 + [math.inf] * 2


@pytest.mark.parametrize(("side", "level"), [(12, 0), (50, 1), (96, 2)])
def test_objects_go_to_the_level_of_their_size(side: int, level: int) -> None:
    at = places([(16, 16), (8, 8), (4, 4)], [8, 16, 32], reach=3.0)
    box = torch.tensor([[10.0, 10.0, 10.0 + side, 10.0 + side]])
    targets = assign(at, Objects(box, torch.tensor([3])))
    found = targets.labels >= 0
    assert set(at.strides[found].tolist()) == {(8.0, 16.0, 32.0)[level]}
    recovered = from_distances(at.points[found], targets.distances[found])
    assert torch.equal(recovered, box.expand_as(recovered))
    assert set(targets.labels[found].tolist()) == {3}


def test_centreness_by_hand() -> None:
    sides = torch.tensor(
        [[2.0, 3.0, 2.0, 3.0], [1.0, 1.0, 4.0, 9.0], [0.0, 1.0, 4.0, 1.0], [0.0] * 4]
    )
    assert centreness(sides).tolist() == pytest.approx([1.0, math.sqrt(1 / 4 * 1 / 9), 0.0, 0.0])


def test_an_empty_image_is_all_background() -> None:
    at = places([(2, 2)], [8])
    targets = assign(at, Objects(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)))
    assert targets.labels.tolist() == [-1] * 4
    assert not targets.distances.any()


def test_levels_need_a_stride_each() -> None:
    with pytest.raises(ValueError, match="2 levels and 1 strides"):
        places([(2, 2), (1, 1)], [8])
