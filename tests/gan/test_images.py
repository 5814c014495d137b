"""Batches of real images at the side of a generator's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nascence.data import Dataset, Split
from nascence.gan.images import RealImages, check_images, latents, scaled, signed, stages_of
from nascence.spaces import GeneratorSpace


def of_shape(data: Dataset, *shape: int) -> Dataset:
    split = Split(torch.zeros(40, *shape, dtype=torch.uint8), data.train.labels)
    return replace(data, train=split, validation=split)


def test_an_epoch_holds_every_image_once(shades: Dataset) -> None:
    real = RealImages(shades, side=16, seed=3, batch_size=10)
    first, second = (torch.cat([real.batch(start + step) for step in range(4)]) for start in (0, 4))
    whole = signed(shades.train.images).flatten(1)
    for epoch in (first, second):
        order = sorted(epoch.flatten(1).tolist())
        assert order == sorted(whole.tolist())
    assert not torch.equal(first, second)
    again = RealImages(shades, side=16, seed=3, batch_size=10)
    assert torch.equal(again.batch(5), real.batch(5))
    other = RealImages(shades, side=16, seed=4, batch_size=10)
    assert not torch.equal(other.batch(5), real.batch(5))
    assert len(RealImages(shades, side=16, seed=3, batch_size=99).batch(0)) == 40


def test_smaller_sides_are_means_of_squares(shades: Dataset) -> None:
    small = scaled(shades.train.images, 8)
    blocks = shades.train.images.numpy().reshape(40, 3, 8, 2, 8, 2).mean((3, 5))
    assert np.abs(small.numpy() - blocks).max() <= 0.5
    assert scaled(shades.train.images, 16) is shades.train.images
    assert RealImages(shades, side=8, seed=0, batch_size=4).batch(0).shape == (4, 3, 8, 8)


def test_the_range_of_levels() -> None:
    levels = torch.tensor([0, 255], dtype=torch.uint8)
    assert signed(levels).tolist() == [-1, 1]


def test_latents_are_standard_normal(generator: torch.Generator) -> None:
    drawn = latents(GeneratorSpace(stages=1, latent=50), 400, generator=generator)
    assert drawn.shape == (400, 50)
    assert abs(float(drawn.mean())) < 4 / 20000**0.5
    assert abs(float(drawn.var()) - 1) < 4 * (2 / 20000) ** 0.5


def test_stages_of_a_side(shades: Dataset) -> None:
    for stages, side in ((1, 8), (3, 32), (6, 256)):
        assert stages_of(of_shape(shades, 3, side, side)) == stages
    for shape in ((3, 4, 4), (3, 12, 12), (3, 8, 16), (3, 512, 512)):
        with pytest.raises(ValueError, match="give square images of 8, 16, 32"):
            stages_of(of_shape(shades, *shape))


def test_images_of_another_shape(shades: Dataset) -> None:
    check_images(GeneratorSpace(stages=2), shades)
    with pytest.raises(ValueError, match="16x16 with 3 channels, those of the generators 8x8"):
        check_images(GeneratorSpace(stages=1), shades)
    with pytest.raises(ValueError, match="with 1; build the space"):
        check_images(GeneratorSpace(stages=2, in_channels=1), shades)
