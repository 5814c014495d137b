"""Decoders: from node states to the values of kernels and vectors.

The convolutional decoder is that of Knyazev et al. (2021), section 3.1: a linear layer gives a
128-channel map of the largest kernel, two 1x1 convolutions turn every position into a block of
64 x 64 values, and larger layers repeat the block. Only the positions and channels that are
asked for are computed. The low-rank decoder predicts two factors and repeats nothing, after
LoGAH (Zhou et al., 2024).
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

MaxShape = tuple[int, int, int, int]
Cut = tuple[slice, ...]


class _SlicedLinear(torch.autograd.Function):
    """``x_i W[cut_i]^T + b[cut_i]`` for several cuts of one weight.

    ``weight`` is ``(A, ..., K)`` and ``bias`` ``(A, ...)``; a cut slices all axes but the last.
    The gradient of the weight is one buffer that every cut adds to, where slicing by autograd
    would make and add one for each.
    """

    @staticmethod
    def forward(ctx: Any, cuts: list[Cut], weight: Tensor, bias: Tensor, *xs: Tensor) -> Any:
        width = weight.shape[-1]
        ctx.cuts = cuts
        ctx.save_for_backward(weight, bias, *xs)
        return tuple(
            torch.addmm(bias[cut].reshape(-1), x, weight[cut].reshape(-1, width).t())
            for cut, x in zip(cuts, xs, strict=True)
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        weight, bias, *xs = ctx.saved_tensors
        width = weight.shape[-1]
        d_weight, d_bias, d_xs = torch.zeros_like(weight), torch.zeros_like(bias), []
        for cut, x, grad in zip(ctx.cuts, xs, grads, strict=True):
            part = weight[cut]
            d_xs.append(grad @ part.reshape(-1, width))
            d_weight[cut] += (grad.t() @ x).view(part.shape)
            d_bias[cut] += grad.sum(0).view(part.shape[:-1])
        return None, d_weight, d_bias, *d_xs


class ConvDecoder(nn.Module):
    """Kernels ``(n, out, in, kh, kw)`` of at most ``max_shape`` from states ``(n, width)``."""

    def __init__(self, width: int, max_shape: MaxShape, classes: int) -> None:
        super().__init__()
        out, inner, height, across = max_shape
        self.max_shape = max_shape
        self.channels = 4 * width
        self.first = nn.Linear(width, self.channels * height * across)
        self.second = nn.Linear(self.channels, 8 * width)
        self.third = nn.Linear(8 * width, out * inner)
        self.class_weight = nn.Linear(out, classes)

    def forward(self, states: list[Tensor], sizes: list[tuple[int, int, int, int]]) -> list[Tensor]:
        """For every group: states ``(n, width)`` and ``(out, in, kh, kw)`` within the maximum."""
        out, inner, height, across = self.max_shape
        width = self.first.in_features
        kernels = [(slice(None), slice(kh), slice(kw)) for _, _, kh, kw in sizes]
        maps = _SlicedLinear.apply(
            kernels,
            self.first.weight.view(self.channels, height, across, width),
            self.first.bias.view(self.channels, height, across),
            *states,
        )
        points = []
        for rows, (_, _, kh, kw) in zip(maps, sizes, strict=True):
            rows = rows.view(-1, self.channels, kh * kw).transpose(1, 2)
            rows = F.relu(rows).reshape(-1, self.channels)
            points.append(F.relu(self.second(rows)))
        blocks = _SlicedLinear.apply(
            [(slice(o), slice(i)) for o, i, _, _ in sizes],
            self.third.weight.view(out, inner, -1),
            self.third.bias.view(out, inner),
            *points,
        )
        return [
            block.view(-1, kh, kw, o, i).permute(0, 3, 4, 1, 2)
            for block, (o, i, kh, kw) in zip(blocks, sizes, strict=True)
        ]

    def blocks(
        self, states: Tensor, size: tuple[int, int, int, int], *, values: int
    ) -> Iterator[Tensor]:
        """``(n, out, in, kh, kw)`` of :meth:`forward` for one group, without gradients.

        A few kernels at a time, of about ``values`` values together: few need little memory,
        many need the weights read less often.
        """
        o, i, kh, kw = size
        out, inner, height, across = self.max_shape
        shape = (self.channels, height, across)
        first = self.first.weight.view(*shape, -1)[:, :kh, :kw].flatten(0, 2)
        shift = self.first.bias.view(shape)[:, :kh, :kw].flatten()
        columns = inner if 2 * i > inner else i  # whole rows of the weight are not copied
        third = self.third.weight.view(out, inner, -1)[:o, :columns].flatten(0, 1)
        last = self.third.bias.view(out, inner)[:o, :columns].flatten()
        for rows in states.split(max(1, values // (o * columns * kh * kw))):
            maps = torch.addmm(shift, rows, first.t()).view(-1, self.channels, kh * kw)
            points = maps.transpose(1, 2).reshape(-1, self.channels).relu_()
            points = torch.addmm(self.second.bias, points, self.second.weight.t()).relu_()
            block = torch.addmm(last, points, third.t()).view(-1, kh, kw, o, columns)
            yield block[..., :i].permute(0, 3, 4, 1, 2)

    def classifier(self, kernel: Tensor) -> Tensor:
        """``(n, classes, in, 1, 1)`` from kernels ``(n, out, in, 1, 1)`` of the full ``out``."""
        rows = self.class_weight(F.relu(kernel[..., 0, 0]).transpose(1, 2))
        out: Tensor = rows.transpose(1, 2)[..., None, None]
        return out


class LowRankDecoder(nn.Module):
    """Kernels as products of two factors, every value of its own.

    ``W (out * kh, in * kw) = A B^T`` with factors of rank ``rank``, whose rows come from a
    linear layer shared by both factors: Zhou et al. (2024), "LoGAH", section 3. Channels
    beyond ``max_channels`` are refused.
    """

    def __init__(self, width: int, *, rank: int = 32, max_channels: int = 2048) -> None:
        super().__init__()
        self.rank = rank
        self.max_channels = max_channels
        self.max_kernel = 16
        self.core = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.ReLU(),
            nn.Linear(4 * width, 8 * width),
            nn.ReLU(),
            nn.Linear(8 * width, 2 * rank * rank),
        )
        self.rows = nn.Linear(rank, max_channels * self.max_kernel)

    def forward(self, states: list[Tensor], sizes: list[tuple[int, int, int, int]]) -> list[Tensor]:
        """For every group: states ``(n, width)`` and the full ``(out, in, kh, kw)``."""
        found = []
        table = self.rows.weight.view(self.max_channels, self.max_kernel, self.rank)
        shift = self.rows.bias.view(self.max_channels, self.max_kernel)
        for state, (o, i, kh, kw) in zip(states, sizes, strict=True):
            left, right = self.core(state).view(-1, 2, self.rank, self.rank).unbind(1)
            a = torch.einsum("nrs,oks->nokr", left, table[:o, :kh]) + shift[:o, :kh, None]
            b = torch.einsum("nrs,iks->nikr", right, table[:i, :kw]) + shift[:i, :kw, None]
            found.append(torch.einsum("nokr,nilr->noikl", a, b))
        return found

    def blocks(
        self, states: Tensor, size: tuple[int, int, int, int], *, values: int
    ) -> Iterator[Tensor]:
        """``(n, out, in, kh, kw)`` of :meth:`forward`, in about ``values`` values at a time."""
        for rows in states.split(max(1, values // prod(size))):
            yield self([rows], [size])[0]
