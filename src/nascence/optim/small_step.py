"""The step of the small optimizer, fast: nothing of size parameters x inputs is written.

Of the 28 inputs of a parameter 12 depend on its row or column alone: they enter the first layer
as two sums of vectors. The normalisation of the inputs is a factor of the weights. The rest is
computed in pieces that stay in the cache, in two passes over a tensor: the moments and the
sums that the normalisation needs; the step itself.

A leading axis N of networks, each with its own theta, runs through everything.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nascence.optim.small_network import (
    EPSILON,
    INPUTS,
    LARGEST_DIRECTION,
    LARGEST_GRADIENT,
    Corrections,
    Decays,
    Network,
    corrections,
    input_scales,
    matrix_shape,
    step_size,
)
from nascence.optim.time_features import time_features
from nascence.params import Params

PLANES = 13  # gradient, value, root, inverse, 3 Adam, 3 factored gradients, 3 factored momenta
# Values of one plane in a piece of work: about 30 planes of it fit the second-level cache.
PIECE = 24_576


class _Work(NamedTuple):
    """One tensor of ``n`` networks as matrices, and where its next state and value go."""

    grad: Tensor  # (n, rows, columns), as are value, second, new_second and target
    value: Tensor
    momenta: Tensor  # (n, 3, rows, columns), as is new_momenta
    second: Tensor
    new_momenta: Tensor
    new_second: Tensor
    target: Tensor


def step_stacked(
    network: Network,
    decays: Decays,
    grad: Tensor,
    old: Params,
    value: Tensor,
    num_steps: Tensor,
) -> tuple[Tensor, Params]:
    """The step of one tensor of N networks: what to add to it ``(N, ...)`` and its next state.

    Every argument has the leading axis N; none is written.
    """
    new = {name: torch.empty_like(old[name]) for name in ("momenta", "second")}
    target = torch.zeros(value.shape, device=value.device)
    return target, step_into(network, decays, grad, old, value, num_steps, new, target)


def step_into(
    network: Network,
    decays: Decays,
    grad: Tensor,
    old: Params,
    value: Tensor,
    num_steps: Tensor,
    new: Params,
    target: Tensor,
) -> Params:
    """`step_stacked` into tensors given: ``new`` may be ``old``, and ``target`` ``value``.

    The step is added to ``target``. Returns the next state.
    """
    count = grad.shape[0]
    rows, columns = matrix_shape(grad.shape[1:])
    plain, triple = (count, rows, columns), (count, 3, rows, columns)
    work = _Work(
        grad.reshape(plain),
        value.view(plain),
        old["momenta"].view(triple),
        old["second"].view(plain),
        new["momenta"].view(triple),
        new["second"].view(plain),
        target.view(plain),
    )
    following = {**new, "step": old["step"] + 1}
    for name in ("row", "column"):
        if name in old:
            following[name] = torch.empty_like(old[name])
    time = time_features(following["step"], num_steps)
    corrected = corrections(decays, following["step"], factored=rows > 1)
    group = min(count, max(1, PIECE // max(rows * columns, 1)))
    height, width = _piece_shape(rows, columns)
    # One room for all: memory that was touched before costs no page faults.
    planes = PLANES + 2 * network.inner.shape[1] + 2
    room = time.new_empty(planes * group * height * width)
    for first in range(0, count, group):
        part = slice(first, first + group)
        few = _Few(
            Network(*(x[part] for x in network)),
            Decays(*(x[part] for x in decays)),
            _Work(*(x[part] for x in work)),
            time[part],
            Corrections(*(x[part] for x in corrected)),
            room,
        )
        factors = [old[name][part] for name in ("row", "column") if name in old]
        for name, factor in zip(("row", "column"), few.step(factors), strict=False):
            following[name][part] = factor
    return following


class _Piece:
    """Views of one piece of work, and of the room where its inputs are computed.

    ``momenta`` and the layers are ``(n, ., h w)``; the rest is ``(n, h, w)``.
    """

    def __init__(self, work: _Work, rows: slice, columns: slice, room: Tensor, hidden: int) -> None:
        self.rows = rows
        self.grad, self.value = work.grad[:, rows, columns], work.value[:, rows, columns]
        self.old_momenta = work.momenta[:, :, rows, columns]
        self.new_momenta = work.new_momenta[:, :, rows, columns]
        self.momenta = self.new_momenta.flatten(2)
        self.old_second = work.second[:, rows, columns]
        self.second = work.new_second[:, rows, columns]
        self.target = work.target[:, rows, columns]
        count, height, width = self.grad.shape
        size = count * height * width
        layers = room[PLANES * size : (PLANES + 2 * hidden + 2) * size]
        room = room[: PLANES * size].view(count, PLANES, height, width)
        self.gradient, self.copy, self.root, self.inverse = room[:, :4].unbind(1)
        self.adam, self.factor = room[:, 4:7], room[:, 7:10]
        self.first_adam, self.spare = room[:, 4], room[:, 7]
        self.planes = room.flatten(2)
        self.eights, self.normed = self.planes[:, :8], self.planes[:, 1:7]
        self.flat_factor, self.factored_momenta = self.planes[:, 7:10], self.planes[:, 10:]
        # The results of batched matrix products are fast only where they are contiguous.
        flat, out = layers[: 2 * hidden * size].view(2, count, hidden, -1), layers[-2 * size :]
        self.flat_hidden, self.middle = flat.unbind()
        self.hidden = self.flat_hidden.unflatten(2, (height, width))
        self.out = out.view(count, 2, -1)
        self.change, self.direction = self.out.unflatten(2, (height, width)).unbind(1)


class _Few:
    """The two passes over one tensor of as many networks as fit a piece."""

    def __init__(
        self,
        network: Network,
        decays: Decays,
        work: _Work,
        time: Tensor,
        corrected: Corrections,
        room: Tensor,
    ) -> None:
        self.network, self.decays, self.time, self.corrections = network, decays, time, corrected
        self.count, self.rows, self.columns = work.grad.shape
        hidden = network.inner.shape[1]
        height, width = _piece_shape(self.rows, self.columns)
        self.pieces = [
            _Piece(work, slice(top, top + height), slice(left, left + width), room, hidden)
            for top in range(0, self.rows, height)
            for left in range(0, self.columns, width)
        ]

    def step(self, factors: list[Tensor]) -> list[Tensor]:
        """Make the step; returns the next row and column averages of a factored tensor."""
        norms, by_row, by_column = [], [], []
        momenta_decay = self.decays.momenta[:, :, None, None]
        second_decay = self.decays.second[:, None, None]
        for piece in self.pieces:
            piece.gradient.copy_(piece.grad).clamp_(-LARGEST_GRADIENT, LARGEST_GRADIENT)
            _lerp(piece.old_momenta, piece.gradient[:, None], momenta_decay, piece.new_momenta)
            square = torch.mul(piece.gradient, piece.gradient, out=piece.spare)
            _lerp(piece.old_second, square, second_decay, piece.second)
            by_row.append(square.sum(2))
            if factors:
                by_column.append(square.sum(1))
            _prepare(piece)
            norms.append(torch.linalg.vector_norm(piece.normed, dim=2))
            norms.append(torch.linalg.vector_norm(piece.momenta, dim=2))
        size = self.rows * self.columns
        row = torch.cat(by_row, 1)
        square = self.time.new_zeros((self.count, INPUTS))
        square[:, 0] = row.sum(1) / size
        square[:, 1:4], square[:, 7:10] = (_squared(norms[::2]) / size).split(3, 1)
        square[:, 4:7] = _squared(norms[1::2]) / size
        if not factors:
            self._vector(square)
            return []
        change = self.decays.factors[:, :, None]
        row = _lerp(factors[0], row[:, None] / self.columns, change)
        column = torch.stack(by_column).sum(0)[:, None] / self.rows
        column = _lerp(factors[1], column, change)
        self._matrix(square, row, column)
        return [row, column]

    def _matrix(self, square: Tensor, row: Tensor, column: Tensor) -> None:
        """The second pass over a factored tensor."""
        down, across = torch.rsqrt(row + EPSILON), torch.rsqrt(column + EPSILON)
        ends = [row.sqrt(), down, column.sqrt(), across]
        square[:, 16:] = torch.cat([(end * end).mean(2) for end in ends], 1)
        down = down * (row.mean(2, keepdim=True) + EPSILON).sqrt()
        weights, shift = self._first_layer(square)
        by_row = torch.bmm(weights[:, :, 16:22], torch.cat(ends[:2], 1)) + shift
        by_column = torch.bmm(weights[:, :, 22:], torch.cat(ends[2:], 1))[:, :, None]
        chosen = torch.cat([weights[:, :, :4], weights[:, :, 7:16]], 2)
        of_momenta = weights[:, :, 4:7]
        last = self._last_layer(square)
        for piece in self._prepared():
            torch.mul(down[:, :, piece.rows, None], across[:, :, None], out=piece.factor)
            torch.mul(piece.flat_factor, piece.momenta, out=piece.factored_momenta)
            piece.factor.mul_(piece.gradient[:, None])
            torch.add(by_row[:, :, piece.rows, None], by_column, out=piece.hidden)
            piece.flat_hidden.baddbmm_(chosen, piece.planes)
            piece.flat_hidden.baddbmm_(of_momenta, piece.momenta)
            self._rest(piece, *last)

    def _vector(self, square: Tensor) -> None:
        """The second pass where the factored moments are the second moment itself."""
        square[:, 16:19] = square[:, 22:25] = square[:, 2:3]
        square[:, 19:22] = 1 / (square[:, 2:3] + EPSILON)
        square[:, 25:] = square[:, 3:4]
        weights, shift = self._first_layer(square)
        shift = shift + torch.bmm(weights[:, :, 16:22], square[:, 16:22, None].sqrt())
        # The columns of weights for equal inputs are added: (n, hidden, 6 groups, 3).
        groups = weights[:, :, 10:].unflatten(2, (6, 3))
        by_root = weights[:, :, 2] + groups[:, :, 4].sum(2)
        by_inverse = weights[:, :, 3] + groups[:, :, 5].sum(2)
        adam = weights[:, :, 7:10] + groups[:, :, 1]
        values = torch.stack([weights[:, :, 0], weights[:, :, 1], by_root, by_inverse], 2)
        chosen = torch.cat([values, adam, groups[:, :, 0].sum(2, keepdim=True)], 2)
        of_momenta, last = weights[:, :, 4:7], self._last_layer(square)
        for piece in self._prepared():
            torch.mul(piece.gradient, piece.inverse, out=piece.spare)
            torch.baddbmm(shift, chosen, piece.eights, out=piece.flat_hidden)
            piece.flat_hidden.baddbmm_(of_momenta, piece.momenta)
            self._rest(piece, *last)

    def _prepared(self) -> Iterator[_Piece]:
        """The pieces with their first planes as the first pass left them."""
        for piece in self.pieces:
            if len(self.pieces) > 1:
                piece.gradient.copy_(piece.grad).clamp_(-LARGEST_GRADIENT, LARGEST_GRADIENT)
                _prepare(piece)
            yield piece

    def _first_layer(self, square: Tensor) -> tuple[Tensor, Tensor]:
        """Weights ``(n, hidden, 28)`` with the normalisation in them; bias ``(n, hidden, 1)``."""
        scales = input_scales(square, self.corrections)
        shift = torch.bmm(self.network.time, self.time[:, :, None])
        return self.network.inner * scales[:, None], shift + self.network.inner_bias[:, :, None]

    def _last_layer(self, square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights and bias ``(n, 2, .)`` of ``n̂ (1 + a)`` over n and of d; minus the step size."""
        ratio = self.corrections.second / self.corrections.momenta[:, 0]
        scale = torch.stack([ratio, torch.ones_like(ratio)], 1)[:, :, None]
        bias = self.network.outer_bias[:, :, None] + scale.new_tensor([[1.0], [0.0]])
        shape = (self.rows, self.columns)
        size = step_size(self.network, self.time, square, self.corrections, shape)
        return self.network.outer * scale, bias * scale, -size[:, None, None]

    def _rest(self, piece: _Piece, outer: Tensor, outer_bias: Tensor, size: Tensor) -> None:
        """The last two layers, and the step of a piece."""
        network, middle = self.network, piece.middle
        bias = network.middle_bias[:, :, None]
        torch.baddbmm(bias, network.middle, piece.flat_hidden.relu_(), out=middle)
        torch.baddbmm(outer_bias, outer, middle.relu_(), out=piece.out)
        direction = piece.direction.addcmul_(piece.first_adam, piece.change)
        direction.clamp_(-LARGEST_DIRECTION, LARGEST_DIRECTION)
        piece.target.addcmul_(direction, size)


def _piece_shape(rows: int, columns: int) -> tuple[int, int]:
    """Rows and columns of a piece: whole rows, but parts of a single one."""
    width = columns if rows > 1 else min(columns, PIECE)
    return max(1, min(rows, PIECE // max(columns, 1))), max(width, 1)


def _prepare(piece: _Piece) -> None:
    """Value, root and inverse of the second moment, and Adam directions."""
    piece.copy.copy_(piece.value)
    torch.sqrt(piece.second, out=piece.root)
    torch.add(piece.second, EPSILON, out=piece.inverse).rsqrt_()
    torch.mul(piece.new_momenta, piece.inverse[:, None], out=piece.adam)


def _lerp(start: Tensor, end: Tensor, weight: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.lerp(start, end.expand_as(start), weight.expand_as(start), out=out)


def _squared(norms: list[Tensor]) -> Tensor:
    return torch.stack(norms).square().sum(0)
