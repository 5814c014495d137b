"""A picture of samples side by side."""

import io

import torch
from PIL import Image
from torch import Tensor


def sample_grid(images: Tensor, *, columns: int = 8, gap: int = 1) -> bytes:
    """Return a PNG of images in rows, the first at the top left, on white.

    Args:
        images: float ``(N, C, H, W)`` in [-1, 1], C of 1 or 3; values outside are cut.
        columns: images in a row.
        gap: white pixels between two.

    Raises:
        ValueError: another shape, or values that are not finite.
    """
    if images.dim() != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(f"images of shape {tuple(images.shape)}; give (N, 1 or 3, H, W)")
    if not images.isfinite().all():
        raise ValueError("the images hold values that are not finite; nothing can be drawn")
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    sheet = torch.full(
        (channels, rows * (height + gap) - gap, columns * (width + gap) - gap),
        255,
        dtype=torch.uint8,
    )
    levels = ((images.detach().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    for place, picture in enumerate(levels):
        row, column = divmod(place, columns)
        top, left = row * (height + gap), column * (width + gap)
        sheet[:, top : top + height, left : left + width] = picture
    pixels = sheet[0] if channels == 1 else sheet.permute(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels.contiguous().numpy()).save(buffer, format="PNG")
    return buffer.getvalue()
