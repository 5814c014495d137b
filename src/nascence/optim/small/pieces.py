"""The two passes of the small optimizer over a tensor, in pieces that stay in the cache."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from nascence.optim.small.folding import Folded, Sums
from nascence.optim.small.network import (
    EPSILON,
    LARGEST_DIRECTION,
    LARGEST_GRADIENT,
    Decays,
)

PLANES = 13  # gradient, value, root, inverse, 3 Adam, 3 factored gradients, 3 factored momenta
# Values of one plane in a piece of work: about 30 planes of it fit the second-level cache.
PIECE = 24_576


class Work(NamedTuple):
    """One tensor of N networks as matrices; all but the gradient is changed."""

    grad: Tensor  # (N, rows, columns), as are value and second
    value: Tensor
    momenta: Tensor  # (N, 3, rows, columns)
    second: Tensor


class Passes(Protocol):
    """The two passes over one tensor."""

    def moments(self, decays: Decays) -> Sums:
        """Update the momenta and the second moment, and return the sums."""
        ...

    def apply(self, folded: Folded) -> None:
        """Add the step to the value."""
        ...


class _Piece:
    """Views of one piece of work, and of the room where its inputs are computed.

    ``averages`` are ``(n, 3, h, w)``; ``momenta``, the same, and the layers are ``(n, ., h w)``;
    the rest is ``(n, h, w)``.
    """

    def __init__(
        self, work: Work, networks: slice, rows: slice, columns: slice, room: Tensor, hidden: int
    ) -> None:
        self.networks, self.rows, self.columns = networks, rows, columns
        here = (networks, rows, columns)
        triple = (networks, slice(None), rows, columns)
        self.grad, self.value = work.grad[here], work.value[here]
        self.averages, self.second = work.momenta[triple], work.second[here]
        self.momenta = self.averages.flatten(2)
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

    def prepare(self) -> None:
        """Clipped gradient, value, root and inverse of the second moment, Adam directions."""
        torch.clamp(self.grad, -LARGEST_GRADIENT, LARGEST_GRADIENT, out=self.gradient)
        self.copy.copy_(self.value)
        torch.sqrt(self.second, out=self.root)
        torch.add(self.second, EPSILON, out=self.inverse).rsqrt_()
        torch.mul(self.averages, self.inverse[:, None], out=self.adam)


class Pieces:
    """`Passes` by PyTorch, over pieces of about `PIECE` parameters."""

    def __init__(self, work: Work, *, hidden: int) -> None:
        self.work = work
        count, self.rows, self.columns = work.grad.shape
        size = self.rows * self.columns
        group = min(count, max(1, PIECE // max(size, 1)))
        width = self.columns if self.rows > 1 else min(self.columns, PIECE)
        height = max(1, min(self.rows, PIECE // max(self.columns, 1)))
        planes = PLANES + 2 * hidden + 2
        # One room for all: memory that was touched before costs no page faults.
        room = work.second.new_empty(planes * group * height * max(width, 1))
        self.pieces = [
            _Piece(
                *(work, slice(first, first + group)),
                *(slice(top, top + height), slice(left, left + width)),
                *(room, hidden),
            )
            for first in range(0, count, group)
            for top in range(0, self.rows, height)
            for left in range(0, self.columns, max(width, 1))
        ]

    def moments(self, decays: Decays) -> Sums:
        """Update the momenta and the second moment, and return the sums."""
        count, factored = len(self.work.grad), self.rows > 1
        squares = self.work.second.new_zeros((count, 10))
        by_row = squares.new_zeros((count, self.rows))
        by_column = squares.new_zeros((count, self.columns)) if factored else None
        changes = decays.momenta[:, :, None, None], decays.second[:, None, None]
        keeps = [1 - change for change in changes]
        for piece in self.pieces:
            n = piece.networks
            torch.clamp(piece.grad, -LARGEST_GRADIENT, LARGEST_GRADIENT, out=piece.gradient)
            square = torch.mul(piece.gradient, piece.gradient, out=piece.inverse)
            # Not torch.lerp: with a factor for each network it is several times slower.
            torch.mul(piece.gradient[:, None], changes[0][n], out=piece.factor)
            piece.averages.mul_(keeps[0][n]).add_(piece.factor)
            torch.mul(square, changes[1][n], out=piece.root)
            piece.second.mul_(keeps[1][n]).add_(piece.root)
            by_row[n, piece.rows] += square.sum(2)
            if by_column is not None:
                by_column[n] += square.sum(1)
            piece.prepare()
            squares[n, 4:7] += torch.linalg.vector_norm(piece.momenta, dim=2).square_()
            normed = torch.linalg.vector_norm(piece.normed, dim=2).square_()
            squares[n, 1:4] += normed[:, :3]
            squares[n, 7:] += normed[:, 3:]
        squares[:, 0] = by_row.sum(1)
        return Sums(squares, by_row if factored else None, by_column)

    def apply(self, folded: Folded) -> None:
        """Add the step to the value."""
        for piece in self.pieces:
            piece.prepare()
            mine = folded.of(piece.networks)
            if mine.down is None:
                torch.mul(piece.gradient, piece.inverse, out=piece.spare)
                own = torch.cat([mine.weights[:, :, :4], mine.weights[:, :, 7:]], 2)
                torch.baddbmm(mine.by_row, own, piece.eights, out=piece.flat_hidden)
            else:
                self._first_layer(piece, mine)
            piece.flat_hidden.baddbmm_(mine.weights[:, :, 4:7], piece.momenta)
            _rest(piece, mine)

    def _first_layer(self, piece: _Piece, folded: Folded) -> None:
        """The first layer of a factored tensor, but for the momenta."""
        assert folded.by_column is not None
        assert folded.down is not None
        assert folded.across is not None
        rows, columns = (slice(None), slice(None), piece.rows, None), (..., None, slice(None))
        torch.mul(folded.down[rows], folded.across[columns], out=piece.factor)
        torch.mul(piece.flat_factor, piece.momenta, out=piece.factored_momenta)
        piece.factor.mul_(piece.gradient[:, None])
        torch.add(folded.by_row[rows], folded.by_column[columns], out=piece.hidden)
        own = torch.cat([folded.weights[:, :, :4], folded.weights[:, :, 7:]], 2)
        piece.flat_hidden.baddbmm_(own, piece.planes)


def _rest(piece: _Piece, folded: Folded) -> None:
    """The last two layers, and the step of a piece."""
    bias, middle = folded.middle_bias[:, :, None], piece.middle
    torch.baddbmm(bias, folded.middle, piece.flat_hidden.relu_(), out=middle)
    torch.baddbmm(folded.outer_bias[:, :, None], folded.outer, middle.relu_(), out=piece.out)
    direction = piece.direction.addcmul_(piece.first_adam, piece.change)
    direction.clamp_(-LARGEST_DIRECTION, LARGEST_DIRECTION).mul_(folded.size[:, None, None])
    piece.value.add_(direction)
