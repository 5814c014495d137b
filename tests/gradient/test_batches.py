"""Batches of the two halves: disjoint, every image once an epoch, and the same by number."""

import pytest
import torch

from nascence.data import Dataset
from nascence.gradient.batches import Halves


def shown(halves: Halves, half: str, steps: range) -> list[bytes]:
    """The images of some steps, as bytes."""
    return [image.numpy().tobytes() for step in steps for image in getattr(halves, half)(step)[0]]


def test_the_halves_share_no_image_and_show_each_of_theirs_once(brightness: Dataset) -> None:
    halves = Halves(brightness, seed=3, batch_size=8, crop=0, flip=False)
    weights = shown(halves, "weights", range(4))
    architecture = shown(halves, "architecture", range(4))
    whole = brightness.normalise(brightness.train.images)
    assert set(weights) | set(architecture) == {image.numpy().tobytes() for image in whole}
    assert len(set(weights)) == len(set(architecture)) == 32
    assert set(shown(halves, "weights", range(4, 8))) == set(weights)
    assert shown(halves, "weights", range(4, 8)) != weights


def test_a_joint_search_sees_all_images(brightness: Dataset) -> None:
    halves = Halves(brightness, seed=3, batch_size=16, crop=0, flip=False, whole=True)
    assert len(set(shown(halves, "weights", range(4)))) == 64


def test_a_batch_follows_from_the_seed_and_its_number(brightness: Dataset) -> None:
    one, same, other = (Halves(brightness, seed=seed, batch_size=8) for seed in (1, 1, 2))
    for step in (0, 5):
        assert torch.equal(one.weights(step)[0], same.weights(step)[0])
        assert torch.equal(one.weights(step)[1], same.weights(step)[1])
        assert not torch.equal(one.weights(step)[0], other.weights(step)[0])
    assert one.weights(0)[0].is_contiguous(memory_format=torch.channels_last)


def test_large_batches_shrink_and_tiny_data_is_refused(brightness: Dataset) -> None:
    assert len(Halves(brightness, seed=0, batch_size=500).weights(0)[1]) == 32
    with pytest.raises(ValueError, match="batches of 2 are needed"):
        Halves(brightness, seed=0, batch_size=1)
