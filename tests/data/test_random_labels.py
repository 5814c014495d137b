"""Random labels: uniform, fixed, independent of the images."""

import dataclasses

import pytest
import torch

from nascence.data import Dataset, Split, random_labels


def dataset(size=3000, classes=4):
    images = torch.zeros(size, 3, 2, 2, dtype=torch.uint8)
    labels = torch.zeros(size, dtype=torch.int64)
    split = Split(images, labels)
    return Dataset("zeros", split, split, tuple("abcd")[:classes], (0.0,) * 3, (1.0,) * 3, (), "f")


def drawn(seed, **settings):
    return random_labels(dataset(), generator=torch.Generator().manual_seed(seed), **settings)


def test_every_class_is_equally_likely_and_the_images_are_shared():
    data = dataset()
    found = random_labels(data, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(found.train.labels, minlength=4)
    expected = len(data.train) / 4
    assert ((counts - expected).abs() < 5 * expected**0.5).all()
    assert found.train.images is data.train.images
    assert (data.train.labels == 0).all()
    assert not found.train.labels.equal(found.validation.labels)


def test_the_seed_decides_and_the_fingerprint_tells():
    assert drawn(1).train.labels.equal(drawn(1).train.labels)
    assert drawn(1).fingerprint == drawn(1).fingerprint
    assert len({drawn(1).fingerprint, drawn(2).fingerprint, dataset().fingerprint}) == 3


def test_another_number_of_classes():
    found = drawn(0, classes=7)
    assert found.classes == 7
    assert found.train.labels.max() == 6
    assert dataclasses.is_dataclass(found)


@pytest.mark.parametrize("classes", [1, 0, True, 2.5])
def test_impossible_numbers_of_classes(classes):
    with pytest.raises(ValueError, match="int of 2 or more"):
        drawn(0, classes=classes)
