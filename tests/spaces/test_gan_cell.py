"""Pieces of a generator's cell."""

import pytest
import torch
from torch import nn

from nascence.spaces.gan_cell import (
    Latent,
    PostActivation,
    PreActivation,
    Shortcut,
    Skips,
    convolution,
    normalisation,
    resized,
)


def images(side: int = 4) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("name", ["bilinear", "nearest", "deconvolution"])
def test_upsampling_multiplies_the_side(name: str, factor: int) -> None:
    made = resized(name, 3, factor)
    assert made(images()).shape == (2, 3, 4 * factor, 4 * factor)
    values = sum(each.numel() for each in made.parameters())
    expected = {2: 1, 4: 2, 8: 3}[factor] * (4 * 9 + 3) if name == "deconvolution" else 0
    assert values == expected


def test_nearest_repeats_and_bilinear_keeps_a_constant() -> None:
    small = images()
    repeated = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(resized("nearest", 3, 2)(small), repeated)
    constant = torch.full((1, 3, 4, 4), 0.7)
    torch.testing.assert_close(resized("bilinear", 3, 2)(constant), torch.full((1, 3, 8, 8), 0.7))


def test_orders_differ_in_where_the_convolution_stands() -> None:
    kernel, up = nn.Conv2d(3, 3, 3, padding=1), nn.Upsample(scale_factor=2)
    norm = nn.InstanceNorm2d(3)
    post = PostActivation()(images(), norm, up, kernel)
    pre = PreActivation()(images(), norm, up, kernel)
    assert post.min() >= 0 > pre.min()
    torch.testing.assert_close(pre, kernel(up(norm(images()).relu())))
    torch.testing.assert_close(post, norm(kernel(up(images()))).relu())


def test_instance_normalisation_is_over_each_image() -> None:
    made = normalisation("instance", 3)(images(8))
    torch.testing.assert_close(made.mean((2, 3)), torch.zeros(2, 3), atol=1e-6, rtol=0)
    assert not list(normalisation("instance", 3).parameters())
    assert isinstance(normalisation("none", 3), nn.Identity)
    assert sum(each.numel() for each in normalisation("batch", 3).parameters()) == 6


def test_no_shortcut_and_no_skip_add_nothing() -> None:
    x = images()
    assert Shortcut(None)(x, images(2), nn.Identity()) is x
    assert Skips((), 3)(x, [images(2)], [nn.Identity()]) is x
    skips = Skips((1,), 3)
    expected = x + skips.kernels[0](images(4))
    torch.testing.assert_close(skips(x, [images(2), images(4)], [None, nn.Identity()]), expected)


def test_latent_and_initialisation() -> None:
    assert Latent(5, 3)(torch.randn(2, 5)).shape == (2, 3, 4, 4)
    torch.manual_seed(0)
    weight = convolution(20, 30).weight.detach()
    bound = (6 / (9 * 20 + 9 * 30)) ** 0.5  # Glorot and Bengio, eq. 16
    assert weight.abs().max() <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.05)
