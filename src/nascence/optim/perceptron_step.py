"""One perceptron for each parameter, fast: the step that two architectures share.

What all parameters of a tensor have in common enters as the bias of the first layer, the
normalisation of an input over the tensor as a factor of its weights, and the inputs are computed
in pieces that stay in the cache. An output that is only averaged over the tensor needs the mean
of the last hidden layer and no product for each parameter.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

PIECE = 4096
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
    return -scale * out[..., 0].clamp(-1e3, 1e3) * torch.exp(scale * out[..., 1].clamp(-5e3, 5e3))


def step_(
    network: Perceptron,
    shared: Tensor,
    fill: Callable[[slice, Tensor], list[Tensor]],
    planes: int,
    target: Tensor,
    *,
    scale: float,
    rate: float,
    nominal: Callable[[slice], Tensor] | None,
) -> Tensor:
    """Add ``rate`` times the step of one tensor to ``target`` ``(n,)``; returns mean outputs.

    ``fill(piece, room)`` writes the inputs of a piece into ``room`` ``(planes, width)`` and
    returns those that lie elsewhere as ``(., width)`` each; in this order they are the inputs of
    a parameter. ``shared`` are the further inputs, equal for all. ``nominal(piece)`` is a step to
    add to the learned one.
    """
    size = len(target)
    pieces = [slice(first, min(first + PIECE, size)) for first in range(0, size, PIECE)]
    room = torch.empty(planes * PIECE, device=target.device)
    widths = network.first.shape[1]
    layers = torch.empty(2 * widths * PIECE, device=target.device)

    def inputs(piece: slice) -> list[Tensor]:
        width = piece.stop - piece.start
        mine = room[: planes * width].view(planes, width)
        return [mine, *fill(piece, mine)]

    square = torch.zeros(network.first.shape[0] - len(shared), device=target.device)
    for piece in pieces:
        norms = [torch.linalg.vector_norm(part, dim=1) for part in inputs(piece)]
        square += torch.cat(norms).square()
    norm = torch.rsqrt(square / max(size, 1) + NORM_EPSILON)
    own = (network.first[: len(norm)] * norm[:, None]).t().contiguous()
    shift = (shared @ network.first[len(norm) :] + network.first_bias)[:, None]
    second, last = network.second.t().contiguous(), network.last[:, :2].t().contiguous()
    total = torch.zeros(widths, device=target.device)
    for piece in pieces:
        width = piece.stop - piece.start
        hidden, middle = layers[: 2 * widths * width].view(2, widths, width).unbind()
        first = 0
        for part in inputs(piece):
            weights = own[:, first : first + len(part)]
            torch.addmm(hidden if first else shift, weights, part, out=hidden)
            first += len(part)
        torch.addmm(network.second_bias[:, None], second, hidden.relu_(), out=middle)
        total += middle.relu_().sum(1)
        out = torch.addmm(network.last_bias[:2, None], last, middle)
        step = learned_step(out.t(), scale)
        if nominal is not None:
            step = step + nominal(piece)
        target[piece].add_(step, alpha=rate)
    return (total / max(size, 1)) @ network.last + network.last_bias
