"""Shifts, flips and cutout, image by image and in distribution."""

import time

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nascence.data import augment


def candidates(image: Tensor, flip: bool, crop: int) -> list[Tensor]:
    """Every result that one image may have, made one by one."""
    height, width = image.shape[-2:]
    found = []
    for mirrored in [image, image.flip(-1)] if flip else [image]:
        padded = F.pad(mirrored, (crop, crop, crop, crop))
        found += [
            padded[:, top : top + height, left : left + width]
            for top in range(2 * crop + 1)
            for left in range(2 * crop + 1)
        ]
    return found


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 4),
    channels=st.integers(1, 4),
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    flip=st.booleans(),
    crop=st.integers(0, 3),
    seed=st.integers(0, 99),
    kind=st.sampled_from([torch.uint8, torch.float32]),
)
def test_each_image_is_one_shift_of_itself(
    count: int, channels: int, height: int, width: int, flip: bool, crop: int, seed: int, kind: str
) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(1, 256, (count, channels, height, width), generator=generator).to(kind)
    before = images.clone()
    result = augment(images, flip=flip, crop=crop, generator=generator)
    assert result.dtype == images.dtype
    assert result.shape == images.shape
    assert torch.equal(images, before)
    for image, changed in zip(images, result, strict=True):
        assert any(torch.equal(changed, choice) for choice in candidates(image, flip, crop))


def test_every_shift_and_flip_is_as_likely(generator: torch.Generator) -> None:
    image = torch.arange(1, 10, dtype=torch.uint8).view(1, 3, 3)
    count = 18_000
    images = image.expand(count, 1, 3, 3)
    result = augment(images, crop=1, generator=generator).flatten(1)
    choices = torch.stack(candidates(image, True, 1)).flatten(1)
    counts = torch.stack([(result == choice).all(1).sum() for choice in choices])
    assert counts.sum() == count
    expected = count / 18
    assert ((counts - expected).abs() < 5 * expected**0.5).all()


def test_channels_move_together(generator: torch.Generator) -> None:
    images = torch.rand(16, 1, 8, 8, generator=generator).expand(16, 3, 8, 8)
    result = augment(images, crop=3, cutout=3, generator=generator)
    assert torch.equal(result[:, 0], result[:, 1])
    assert torch.equal(result[:, 0], result[:, 2])


def test_cutout_blanks_a_clipped_square(generator: torch.Generator) -> None:
    images = torch.rand(200, 2, 9, 7, generator=generator) + 1
    result = augment(images, flip=False, crop=0, cutout=4, generator=generator)
    blank = result == 0
    assert torch.equal(result[~blank], images[~blank])
    assert torch.equal(blank[:, 0], blank[:, 1])
    areas = set()
    for mask in blank[:, 0]:
        rows, columns = (mask.any(axis).nonzero()[:, 0] for axis in (1, 0))
        height, width = (len(found) for found in (rows, columns))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert mask.sum() == height * width
        assert 2 <= height <= 4
        assert 2 <= width <= 4
        areas.add(height * width)
    assert {4, 16} <= areas


def test_cutout_of_bytes_is_filled_with_the_mean(generator: torch.Generator) -> None:
    images = torch.randint(0, 256, (8, 3, 6, 6), dtype=torch.uint8, generator=generator)
    result = augment(images, flip=False, crop=0, cutout=20, generator=generator)
    mean = images.double().mean((0, 2, 3)).round().to(torch.uint8)
    assert torch.equal(result, mean.view(1, 3, 1, 1).expand_as(images))


def test_same_generator_same_result() -> None:
    images = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    first, second = (
        augment(images, cutout=3, generator=torch.Generator().manual_seed(2)) for _ in range(2)
    )
    assert torch.equal(first, second)


def test_nothing_to_do_copies(generator: torch.Generator) -> None:
    images = torch.rand(2, 3, 4, 4, generator=generator)
    result = augment(images, flip=False, crop=0, generator=generator)
    assert torch.equal(result, images)
    assert result.data_ptr() != images.data_ptr()
    assert augment(images[:0], generator=generator).shape == (0, 3, 4, 4)


def test_arguments_are_checked(generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        augment(torch.zeros(3, 4, 4), generator=generator)
    with pytest.raises(ValueError, match="neither may be negative"):
        augment(torch.zeros(1, 3, 4, 4), crop=-1, generator=generator)


def test_a_batch_takes_about_a_millisecond(generator: torch.Generator) -> None:
    """Far above the 0.4 ms measured on an idle core, far below a loop over the images."""
    images = torch.randint(0, 256, (128, 3, 32, 32), dtype=torch.uint8, generator=generator)
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        augment(images, generator=generator)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 2e-3


def test_turned_over_and_lit_images() -> None:
    images = torch.arange(4, dtype=torch.uint8).mul(60).view(1, 1, 4, 1).expand(64, 1, 4, 4)
    generator = torch.Generator().manual_seed(0)
    turned = augment(images, flip=False, crop=0, flip_vertically=True, generator=generator)
    over = (turned[:, 0, 0, 0] == 180).sum()
    assert 16 < over < 48
    assert torch.equal(turned.sort(2).values, images)
    lit = augment(images, flip=False, crop=0, light=0.2, generator=generator)
    assert lit.dtype == torch.uint8
    assert len(set(lit[:, 0, 2, 0].tolist())) > 20
    ordered = lit[:, 0, :, 0].int()
    assert (ordered.diff(dim=1) > 0).all()  # contrast and brightness keep the order of values
    plain = augment(images, flip=False, crop=0, generator=generator)
    assert torch.equal(plain, images)


def test_zoom_enlarges_the_centre() -> None:
    images = torch.zeros(8, 1, 32, 32, dtype=torch.uint8)
    images[:, :, 12:20, 12:20] = 255
    grown = augment(
        images, flip=False, crop=0, zoom=0.6, generator=torch.Generator().manual_seed(1)
    )
    assert (grown > 127).sum() > 1.2 * (images > 127).sum()
    with pytest.raises(ValueError, match="zoom is 1"):
        augment(images, zoom=1.0, generator=torch.Generator())
