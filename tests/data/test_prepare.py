"""Statistics, splits and sizes of prepared images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascence.data import DataError
from nascence.data.prepare import Preparation, prepare, stratified_split
from nascence.data.source import ArrayImages, Source

SETTINGS = Preparation(None, 0.25, 0, None, None)


def part(count: int, channels: int = 2) -> ArrayImages:
    images = np.random.default_rng(count).integers(0, 256, (count, channels, 6, 5), dtype=np.uint8)
    images[:, 1:] = 7
    return ArrayImages(images, np.arange(count) % 2)


def test_statistics_over_several_blocks() -> None:
    train = part(2_500)
    stored, arrays = prepare(Source(("a", "b"), train, part(4)), "here", SETTINGS)
    assert np.array_equal(arrays["train_images"], train.images)
    scaled = train.images.astype(np.float64) / 255
    assert np.allclose(stored.mean, scaled.mean((0, 2, 3)))
    assert np.isclose(stored.std[0], scaled[:, 0].std())
    assert stored.std[1] == pytest.approx(1 / 255)
    assert stored.train_shape == (2_500, 2, 6, 5)
    assert stored.validation_shape == (4, 2, 6, 5)


def test_held_out_images_keep_their_labels() -> None:
    whole = part(40)
    _, arrays = prepare(Source(("a", "b"), whole, None), "here", SETTINGS)
    label_of = {
        image.tobytes(): label for image, label in zip(whole.images, whole.labels, strict=True)
    }
    for name, count in (("train", 30), ("validation", 10)):
        assert len(arrays[f"{name}_images"]) == count
        for image, label in zip(arrays[f"{name}_images"], arrays[f"{name}_labels"], strict=True):
            assert label_of.pop(image.tobytes()) == label
    assert not label_of


def test_splits_of_two_shapes() -> None:
    with pytest.raises(DataError, match="both need one shape"):
        prepare(Source(("a", "b"), part(4), part(4, 3)), "here", SETTINGS)


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    fraction=st.floats(0.001, 0.999),
    seed=st.integers(0, 9),
)
def test_every_class_keeps_its_share(counts: list[int], fraction: float, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    train, validation = stratified_split(labels, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    for label, count in enumerate(counts):
        held_out = int((labels[validation] == label).sum())
        if count == 1:
            assert held_out == 0
        else:
            assert 1 <= held_out <= count - 1
            assert held_out in (round(fraction * count), 1, count - 1)


def test_seed_decides() -> None:
    labels = np.repeat(np.arange(3), 50)
    first, again, other = (stratified_split(labels, 0.2, seed)[1] for seed in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
