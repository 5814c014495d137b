"""Normalisation by the formula, and how batches are drawn."""

import pytest
import torch

from nascence.data import Dataset, Split


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
