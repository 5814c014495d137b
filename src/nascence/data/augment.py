"""Augmentation of whole batches."""

import torch
import torch.nn.functional as F
from torch import Tensor


def augment(
    images: Tensor,
    *,
    flip: bool = True,
    crop: int = 4,
    cutout: int = 0,
    generator: torch.Generator,
) -> Tensor:
    """Flip, shift and cut out parts of each image at random; returns the batch as a new tensor.

    Args:
        images: ``(N, C, H, W)``, uint8 or floating point.
        flip: Mirror each image left to right with probability one half.
        crop: Shift each image by up to this many pixels in each direction, zeros coming in at the
            border: padding and a random crop, as in He et al. 2016 (arXiv:1512.03385), section 4.2.
        cutout: Side in pixels of a square, centred on a random pixel, that is blanked out
            (DeVries and Taylor 2017, arXiv:1708.04552). Floating-point images are taken to be
            normalised and filled with 0, uint8 images with the mean of the batch per channel.
        generator: Source of randomness; it may be on another device than the images.

    Raises:
        ValueError: ``images`` is not a batch, or ``crop`` or ``cutout`` is negative.
    """
    if images.dim() != 4:
        raise ValueError(f"images have shape {tuple(images.shape)}; it must be (N, C, H, W)")
    if crop < 0 or cutout < 0:
        raise ValueError(f"crop is {crop} and cutout is {cutout}; neither may be negative")
    if images.numel() == 0 or not (flip or crop or cutout):
        return images.clone()
    if flip or crop:
        images = _flip_and_shift(images, flip, crop, generator)
    return _cut(images, cutout, generator) if cutout else images


def _random(count: int, bound: int, generator: torch.Generator, device: torch.device) -> Tensor:
    values = torch.randint(bound, (count, 1, 1), generator=generator, device=generator.device)
    return values.to(device)


def _flip_and_shift(images: Tensor, flip: bool, crop: int, generator: torch.Generator) -> Tensor:
    """Every output row is a run of one padded row, so that it is copied as one piece."""
    count, channels, height, width = images.shape
    device = images.device
    padded = F.pad(images, (crop, crop, crop, crop))
    rows, columns = padded.shape[-2:]
    channel = torch.arange(count * channels, device=device).view(count, channels, 1)
    down = _random(count, 2 * crop + 1, generator, device)
    right = _random(count, 2 * crop + 1, generator, device)
    row = channel * rows + down + torch.arange(height, device=device)
    if flip:
        # Both orientations lie side by side, which is cheaper than choosing pixel by pixel.
        row = row + _random(count, 2, generator, device) * (count * channels * rows)
        padded = torch.cat([padded, padded.flip(-1)])
    runs = padded.flatten().unfold(0, width, 1)
    starts = (row * columns + right).flatten()
    return runs.index_select(0, starts).view(images.shape)


def _cut(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    device = images.device

    def inside(length: int) -> Tensor:
        start = _random(count, length, generator, device) - side // 2
        position = torch.arange(length, device=device)
        return (position >= start) & (position < start + side)

    mask = inside(height).transpose(1, 2).unsqueeze(1) & inside(width).unsqueeze(1)
    keep = (~mask).to(images.dtype)
    if images.is_floating_point():
        return images * keep
    mean = images.float().mean((0, 2, 3)).round().to(images.dtype).view(-1, 1, 1)
    return images * keep + mean * (1 - keep)
