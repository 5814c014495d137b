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
    flip_vertically: bool = False,
    zoom: float = 0.0,
    light: float = 0.0,
    generator: torch.Generator,
) -> Tensor:
    """Flip, shift, enlarge, light and cut out images at random; returns a new tensor.

    Args:
        images: ``(N, C, H, W)``, uint8 or floating point.
        flip: Mirror each image left to right with probability one half.
        crop: Shift each image by up to this many pixels in each direction, zeros coming in at the
            border: padding and a random crop, as in He et al. 2016 (arXiv:1512.03385), section 4.2.
        cutout: Side in pixels of a square, centred on a random pixel, that is blanked out
            (DeVries and Taylor 2017, arXiv:1708.04552). Floating-point images are taken to be
            normalised and filled with 0, uint8 images with the mean of the batch per channel.
        flip_vertically: Turn each image upside down with probability one half.
        zoom: Enlarge the centre of the images, after they are shifted, by a factor up to
            ``1 / (1 - zoom)`` that is drawn once for the batch: with ``crop``, a random resized
            crop (Szegedy et al. 2015, arXiv:1409.4842) at little cost. At least 0, below 1.
        light: Multiply the contrast of each image, and shift its brightness as a share of the
            range of 0 to 255, by up to this much. uint8 images only.
        generator: Source of randomness; it may be on another device than the images.

    Raises:
        ValueError: ``images`` is not a batch, or a strength is out of range.
    """
    if images.dim() != 4:
        raise ValueError(f"images have shape {tuple(images.shape)}; it must be (N, C, H, W)")
    if crop < 0 or cutout < 0:
        raise ValueError(f"crop is {crop} and cutout is {cutout}; neither may be negative")
    if not 0 <= zoom < 1 or light < 0 or (light and images.is_floating_point()):
        raise ValueError(
            f"zoom is {zoom} and light {light} for {images.dtype} images; zoom must be at least 0 "
            "and below 1, light at least 0, and 0 unless images are uint8"
        )
    result = images.clone()
    if images.numel() == 0:
        return result
    if flip or crop:
        result = _flip_and_shift(result, flip, crop, generator)
    if flip_vertically:
        turned = _random(len(result), 2, generator, result.device).bool().unsqueeze(1)
        result = torch.where(turned, result.flip(-2), result)
    if zoom:
        result = _enlarged(result, zoom, generator)
    if light:
        result = _lit(result, light, generator)
    return _cut(result, cutout, generator) if cutout else result


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


def _enlarged(images: Tensor, zoom: float, generator: torch.Generator) -> Tensor:
    """The centre of all images, of a size drawn once, scaled to their size."""
    drawn = torch.rand(1, generator=generator, device=generator.device).item()
    height, width = images.shape[-2:]
    rows, columns = (max(round(side * (1 - zoom * drawn)), 1) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    centre = images[..., top : top + rows, left : left + columns]
    return F.interpolate(centre, (height, width), mode="bilinear")


def _lit(images: Tensor, light: float, generator: torch.Generator) -> Tensor:
    """Each uint8 image with a contrast and a brightness of its own."""
    drawn = torch.rand(2, len(images), 1, 1, 1, generator=generator, device=generator.device)
    contrast, brightness = (light * (2 * drawn - 1)).to(images.device)
    lit = (images.float() - 127.5) * (1 + contrast) + 127.5 * (1 + 2 * brightness)
    return lit.round_().clamp_(0, 255).to(torch.uint8)


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
