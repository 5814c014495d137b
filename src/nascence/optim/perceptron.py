"""One perceptron for each parameter, fast: the step that two architectures share.

What all parameters of a tensor have in common enters as the bias of the first layer, the
normalisation of an input over the tensor as a factor of its weights, and the inputs are computed
in pieces that stay in the cache. An output that is only averaged over the tensor needs the mean
of the last hidden layer and no product for each parameter.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

PIECE = 8192
LARGEST_D = 1e3
LARGEST_A = 5e3
NORM_EPSILON = 1e-5


class Perceptron(NamedTuple):
    """Weights; the rows of ``first`` beyond the inputs of a parameter are for shared inputs.

    ``first`` ``(inputs, hidden)``, ``second`` ``(hidden, hidden)``, ``last`` ``(hidden, outputs)``
    and the three biases. Outputs 0 and 1 are direction d and magnitude a of a step.
    """

    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor
    last: Tensor
    last_bias: Tensor


def forward(network: Perceptron, inputs: Tensor) -> Tensor:
    """Outputs ``(..., outputs)`` of inputs ``(..., inputs)``, everything written out."""
    hidden = torch.relu(inputs @ network.first + network.first_bias)
    hidden = torch.relu(hidden @ network.second + network.second_bias)
    return hidden @ network.last + network.last_bias


def normalised(inputs: Tensor) -> Tensor:
    """Inputs ``(n, inputs)`` of the n parameters of a tensor, each over its root mean square."""
    square = (inputs * inputs).mean(0) if len(inputs) else inputs.new_zeros(inputs.shape[1:])
    return inputs * torch.rsqrt(square + NORM_EPSILON)


def learned_step(out: Tensor, scale: float) -> Tensor:
    """``-scale d exp(scale a)`` with d within 1000 and a within 5000 of zero (Metz et al. 2019)."""
    direction = out[..., 0].clamp(-LARGEST_D, LARGEST_D)
    return -scale * direction * torch.exp(scale * out[..., 1].clamp(-LARGEST_A, LARGEST_A))


def room_for(planes: int, hidden: int, sizes: Iterable[int], device: torch.device) -> Tensor:
    """Room for the work on any of several tensors, one after the other."""
    width = min(PIECE, max(sizes))
    return torch.empty((planes + 2 * hidden + 4) * width, device=device)


class Pieces:
    """The n parameters of one tensor in pieces, and room for the inputs of one of them.

    ``fill(piece, room)`` writes inputs of a piece into ``room`` ``(planes, width)`` and returns
    those that lie elsewhere as ``(., width)`` each; in this order they are the inputs of a
    parameter. ``room`` is that of `room_for`.
    """

    def __init__(
        self,
        fill: Callable[[slice, Tensor], list[Tensor]],
        *,
        planes: int,
        hidden: int,
        size: int,
        room: Tensor,
    ) -> None:
        self.fill, self.planes, self.hidden, self.size = fill, planes, hidden, size
        self.pieces = [slice(first, min(first + PIECE, size)) for first in range(0, size, PIECE)]
        self.room = room

    def _inputs(self, piece: slice) -> list[Tensor]:
        width = piece.stop - piece.start
        mine = self.room[: self.planes * width].view(self.planes, width)
        return [mine, *self.fill(piece, mine)]

    def sums(self, before: Callable[[slice], None]) -> tuple[Tensor, Tensor]:
        """Sums and sums of squares ``(inputs,)`` over the tensor.

        ``before(piece)`` is called first, to move on the averages that inputs are made of.
        """
        sums, norms = [], []
        for piece in self.pieces:
            before(piece)
            parts = self._inputs(piece)
            sums.append(torch.cat([part.sum(1) for part in parts]))
            norms.append(torch.cat([torch.linalg.vector_norm(part, dim=1) for part in parts]))
        return torch.stack(sums).sum(0), torch.stack(norms).square().sum(0)

    def step_(
        self,
        network: Perceptron,
        shared: Tensor,
        squares: Tensor,
        target: Tensor,
        *,
        scale: float,
        rate: float,
        nominal: Callable[[slice, Tensor], Tensor] | None,
    ) -> Tensor:
        """Add ``rate`` times the step to ``target`` ``(n,)``; returns the mean outputs.

        ``shared`` are the further inputs, equal for all; ``squares`` the sums of squares of the
        others. ``nominal(piece, room)`` is a step to add to the learned one, for which there is
        room ``(2, width)``.
        """
        norm = torch.rsqrt(squares / self.size + NORM_EPSILON)
        own = (network.first[: len(norm)] * norm[:, None]).t().contiguous()
        shift = (shared @ network.first[len(norm) :] + network.first_bias)[:, None]
        second, last = network.second.t().contiguous(), network.last[:, :2].t().contiguous()
        last_bias, ones = network.last_bias[:2, None], torch.ones(PIECE, device=target.device)
        total = torch.zeros(self.hidden, device=target.device)
        for piece in self.pieces:
            width = piece.stop - piece.start
            layers = self.room[self.planes * width :][: (2 * self.hidden + 4) * width]
            hidden, middle, out, spare = layers.view(-1, width).split(
                [self.hidden, self.hidden, 2, 2]
            )
            first = 0
            for part in self._inputs(piece):
                weights = own[:, first : first + len(part)]
                torch.addmm(hidden if first else shift, weights, part, out=hidden)
                first += len(part)
            torch.addmm(network.second_bias[:, None], second, hidden.relu_(), out=middle)
            total.addmv_(middle.relu_(), ones[:width])
            torch.addmm(last_bias, last, middle, out=out)
            magnitude = out[1].clamp_(-LARGEST_A, LARGEST_A).mul_(scale).exp_()
            step = out[0].clamp_(-LARGEST_D, LARGEST_D).mul_(magnitude).mul_(-scale)
            if nominal is not None:
                step.add_(nominal(piece, spare))
            target[piece].add_(step, alpha=rate)
        return (total / self.size) @ network.last + network.last_bias
