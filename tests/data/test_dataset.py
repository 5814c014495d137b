"""Normalisation by the formula, and how batches are drawn."""

import pytest
import torch

from nascence.data import Dataset, Split, epoch_order


def split(count: int = 10, channels: int = 3) -> Split:
    """Image ``i`` is filled with ``i`` and labelled ``i``."""
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, channels, 4, 5)
    return Split(images.clone(), torch.arange(count))


def dataset() -> Dataset:
    return Dataset(
        name="counting",
        train=split(10),
        validation=split(4),
        class_names=tuple("abcdefghij"),
        mean=(0.1, 0.2, 0.3),
        std=(0.5, 1.0, 2.0),
        skipped=(),
        fingerprint="0",
    )


def test_properties() -> None:
    assert dataset().classes == 10
    assert dataset().image_shape == (3, 4, 5)
    assert len(dataset().train) == 10


def test_normalise_against_the_formula() -> None:
    images = torch.randint(0, 256, (6, 3, 4, 5), dtype=torch.uint8)
    before = images.clone()
    expected = torch.stack(
        [
            (images[:, channel].double() / 255 - mean) / std
            for channel, (mean, std) in enumerate([(0.1, 0.5), (0.2, 1.0), (0.3, 2.0)])
        ],
        dim=1,
    )
    result = dataset().normalise(images)
    assert result.dtype == torch.float32
    assert torch.allclose(result.double(), expected, atol=1e-6)
    assert torch.equal(images, before)
    with pytest.raises(ValueError, match="3 channels"):
        dataset().normalise(images[:, :1])


def test_batch_is_random_without_repeats(generator: torch.Generator) -> None:
    images, labels = dataset().batch(10, generator=generator)
    assert sorted(labels.tolist()) == list(range(10))
    expected = dataset().normalise(split().images[labels])
    assert torch.equal(images, expected)
    _, held_out = dataset().batch(3, generator=generator, split="validation")
    assert set(held_out.tolist()) <= set(range(4))
    assert len(set(held_out.tolist())) == 3


@pytest.mark.parametrize("size", [0, -1, 11])
def test_batch_size_is_checked(size: int, generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="allows 1 to 10"):
        dataset().batch(size, generator=generator)


def test_batch_split_is_checked(generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="'train' or 'validation'"):
        dataset().batch(1, generator=generator, split="test")  # type: ignore[arg-type]


def test_splits_are_checked() -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        Split(torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="must be int64"):
        Split(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_an_epoch_shows_classes_as_often_as_asked(balance: float) -> None:
    labels = torch.tensor([0] * 640 + [1] * 40 + [2] * 10)
    order = epoch_order(labels, balance=balance, generator=torch.Generator().manual_seed(0))
    assert len(order) == len(labels)
    shares = torch.tensor([640.0, 40.0, 10.0]) ** (1 - balance)
    expected = len(labels) * shares / shares.sum()
    counts = torch.bincount(labels[order], minlength=3)
    assert (counts - expected).abs().max() <= 1
    seen = torch.bincount(order, minlength=len(labels))
    for label in range(3):  # each image of a class about as often as any other of it
        assert seen[labels == label].max() - seen[labels == label].min() <= 1


def test_without_balance_an_epoch_is_a_permutation() -> None:
    first, again = (
        epoch_order(torch.zeros(9, dtype=torch.long), generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    )
    assert first.sort().values.tolist() == list(range(9))
    assert torch.equal(first, again)
    with pytest.raises(ValueError, match="balance is 2"):
        epoch_order(torch.zeros(9), balance=2, generator=torch.Generator())
