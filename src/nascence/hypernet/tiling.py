"""Repeats a predicted block until it fills a parameter, as in the paper."""

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from nascence.hypernet.layout import Layout


def fill(block: Tensor, out: Tensor) -> None:
    """Write ``block`` ``(o, i, kh, kw)`` into ``out`` ``(O, I, kh, kw)``, repeated on both axes.

    The block stays in the cache while ``out`` is written once, which is what this costs.
    """
    o, i, kh, kw = block.shape
    if out.shape[0] % o == 0 and out.shape[1] % i == 0:
        out.view(-1, o, out.shape[1] // i, i, kh, kw).copy_(block[None, :, None])
        return
    for rows, upper in _stretches(out.shape[0], o):
        for columns, left in _stretches(out.shape[1], i):
            part = out[rows, columns]
            view = part.unflatten(1, (-1, left)).unflatten(0, (-1, upper))
            view.copy_(block[None, :upper, None, :left])


def _stretches(size: int, step: int) -> list[tuple[slice, int]]:
    """The whole repetitions of ``step`` in ``size``, and the rest, with the block's share."""
    whole = size // step * step
    found = [(slice(0, whole), step)] if whole else []
    return found + ([(slice(whole, size), size - whole)] if whole < size else [])


def repeat(block: Tensor, rows: int, columns: int) -> Tensor:
    """:func:`fill` as a differentiable function: ``(O, I, kh, kw)``."""
    o, i = block.shape[:2]
    if columns > i:
        block = block.repeat(1, -(-columns // i), 1, 1)[:, :columns]
    if rows > o:
        block = block.repeat(-(-rows // o), 1, 1, 1)[:rows]
    return block


def stretch(block: Tensor, height: int, width: int) -> Tensor:
    """Kernels ``(o, i, kh, kw)`` resized bilinearly to a size beyond the decoder's largest."""
    return F.interpolate(block, size=(height, width), mode="bilinear", align_corners=False)


def folded(kernel: Tensor, layout: Layout) -> Tensor:
    """The parameter in its own shape from its full kernel ``(O, I, kh, kw)``."""
    if layout.fold in ("transpose", "transpose_repeat"):
        kernel = kernel.transpose(0, 1)
    if layout.fold in ("repeat", "transpose_repeat"):
        depth = prod(layout.shape[2:-2])
        kernel = kernel[:, :, None].expand(-1, -1, depth, -1, -1)
    if layout.fold == "grid":
        positions = prod(layout.shape) // kernel.shape[1]
        rows = kernel[0].flatten(1).t()
        extra = positions - len(rows)
        if extra:  # a class token's position: the mean of the grid
            rows = torch.cat([rows.mean(0, keepdim=True).expand(extra, -1), rows])
        kernel = rows
    return kernel.reshape(layout.shape)
