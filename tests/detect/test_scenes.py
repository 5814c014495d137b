"""Scenes are the same everywhere and keep to their limits."""

import hashlib

import numpy as np
import pytest
import torch

from nascence.data import Split, load
from nascence.detect.scenes import Scenes, background


@pytest.fixture(scope="module")
def source() -> Split:
    return load("cifar10-sample", cache=False).validation


def grey(count: int = 3) -> Split:
    """Images of one level of grey each, 200 and more, which no ground averages to everywhere."""
    images = torch.stack([torch.full((3, 8, 8), 200 + k, dtype=torch.uint8) for k in range(count)])
    return Split(images, torch.arange(count))


def test_a_scene_is_the_same_everywhere() -> None:
    image, objects = Scenes(grey(), size=64, sides=(8, 32), seed=3)[5]
    digest = hashlib.sha256(image.numpy().tobytes()).hexdigest()
    assert digest.startswith("ecc1e294a4fc518d")
    assert objects.boxes.tolist() == [[45.0, 24.0, 55.0, 36.0], [36.0, 46.0, 51.0, 63.0]]
    assert objects.labels.tolist() == [0, 0]


def test_boxes_hold_the_pictures() -> None:
    scenes = Scenes(grey(), cover=0.0, seed=1)
    for index in range(20):
        image, objects = scenes[index]
        assert image.shape == (3, 128, 128)
        for box, label in zip(objects.boxes.int().tolist(), objects.labels.tolist(), strict=True):
            left, top, right, bottom = box
            assert (image[:, top:bottom, left:right] == 200 + label).all()


def test_sizes_counts_and_places_keep_their_limits() -> None:
    scenes = Scenes(grey(), size=96, objects=(2, 4), sides=(10, 48), aspect=2.0, cover=0.1, seed=2)
    longest, counts = [], []
    for index in range(60):
        boxes = scenes[index].objects.boxes
        counts.append(len(boxes))
        sides = boxes[:, 2:] - boxes[:, :2]
        longest += sides.amax(1).tolist()
        assert boxes.min() >= 0
        assert boxes.max() <= 96
        assert (sides.amax(1) <= 2.1 * sides.amin(1) + 1).all()
    assert 10 <= min(longest) < 14
    assert 40 < max(longest) <= 48
    assert min(counts) >= 1
    assert max(counts) == 4


def test_batches_are_the_scenes_one_by_one(source: Split) -> None:
    scenes = Scenes(source, size=96, seed=4)
    images, objects = scenes.batch(7, 3)
    for offset in range(3):
        alone = scenes[7 + offset]
        assert torch.equal(images[offset], alone.image)
        assert torch.equal(objects[offset].boxes, alone.objects.boxes)
    assert not torch.equal(images[0], images[1])
    assert not torch.equal(Scenes(source, size=96, seed=5)[7].image, images[0])


def test_grounds_are_textured() -> None:
    for seed in range(10):
        pixels = background(100, np.random.default_rng(seed))
        assert pixels.shape == (100, 100, 3)
        assert pixels.std() > 10


@pytest.mark.parametrize(
    "change",
    [{"objects": (0, 3)}, {"sides": (12, 200)}, {"aspect": 0.5}, {"cover": 2.0}, {"seed": -1}],
)
def test_bad_settings_are_named(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Scenes(grey(), **change)  # type: ignore[arg-type]


def test_bad_numbers_and_images_are_named() -> None:
    with pytest.raises(IndexError, match="start at 0"):
        Scenes(grey())[-1]
    with pytest.raises(ValueError, match="RGB images"):
        Scenes(Split(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.zeros(1).long()))
