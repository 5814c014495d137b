"""Real images at the side of a generator's, and latent vectors, by the number of the step."""

import torch
from torch import Tensor
from torch.nn import functional

from nascence.core.randomness import stream
from nascence.data import Dataset
from nascence.spaces import Growing
from nascence.spaces.gan_cell import BOTTOM


class RealImages:
    """Training images scaled to ``side``, in endless epochs, each in a new order.

    Everything follows from the seed and the number of the step.

    Args:
        data: square images whose side is ``side`` times a power of two.
        side: side of the batches.
        seed: seed of the orders.
        batch_size: at most all images.
        device: where batches are put.
    """

    def __init__(
        self,
        data: Dataset,
        *,
        side: int,
        seed: int,
        batch_size: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.images = scaled(data.train.images, side)
        self.seed, self.device = seed, device
        self.batch_size = min(batch_size, len(self.images))

    def batch(self, step: int) -> Tensor:
        """Float32 ``(B, C, side, side)`` in [-1, 1]."""
        epoch, position = divmod(step, len(self.images) // self.batch_size)
        order = torch.randperm(
            len(self.images), generator=stream(self.seed, 0, epoch, derivation="search")
        )
        chosen = order[position * self.batch_size : (position + 1) * self.batch_size]
        return signed(self.images[chosen].to(self.device))


def latents(space: Growing, count: int, *, generator: torch.Generator) -> Tensor:
    """Draw standard normal vectors, ``(count, latent)``."""
    return torch.randn(count, space.latent, generator=generator)


def signed(images: Tensor) -> Tensor:
    """uint8 ``(N, C, H, W)`` from 0 to 255 to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def scaled(images: Tensor, side: int) -> Tensor:
    """uint8 ``(N, C, H, H)`` to ``(N, C, side, side)``, each pixel the mean of those it covers."""
    factor = images.shape[-1] // side
    if factor == 1:
        return images
    pieces = [
        functional.avg_pool2d(piece.float(), factor).round().to(torch.uint8)
        for piece in images.split(4096)
    ]
    return torch.cat(pieces)


def check_images(space: Growing, data: Dataset) -> None:
    """Raise ``ValueError`` where a generator's images are not of the shape of the data's."""
    channels, height, width = data.image_shape
    if (channels, height, width) != (space.in_channels, space.side, space.side):
        raise ValueError(
            f"the images of {data.name} are {height}x{width} with {channels} channels, those of "
            f"the generators {space.side}x{space.side} with {space.in_channels}; build the space "
            "for the images"
        )


def stages_of(data: Dataset) -> int:
    """Return the number of doublings from 4 pixels to the side of the images.

    Raises:
        ValueError: images that are not square, or whose side is not 8, 16, 32, ... 256.
    """
    _, height, width = data.image_shape
    for stages in range(1, 7):
        if height == width == BOTTOM * 2**stages:
            return stages
    raise ValueError(
        f"the images of {data.name} are {height}x{width}; generators double 4 pixels one to six "
        "times, so give square images of 8, 16, 32, 64, 128 or 256 pixels"
    )
