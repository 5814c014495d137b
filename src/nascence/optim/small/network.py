"""The network of the small optimizer: its weights, the scales of its inputs, its head."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nascence.optim.time_features import TIME_FEATURES
from nascence.params import Params

INPUTS = 28
TENSOR_INPUTS = TIME_FEATURES + 7
EPSILON = 1e-18
LARGEST_GRADIENT = 1e15
LARGEST_DIRECTION = 8.0
# Beyond it a square of a value tells the head no more, and an infinite one would.
LARGEST_SQUARE = 1e30
MOMENTA = (0.9, 0.99, 0.999)
SECOND = 0.999
# A change of theta by 0.01, as evolution strategies make it, should change a step by some per cent.
OUTPUT_SCALE = 2.0
RATE_SCALE = 5.0
DECAY_SCALE = 5.0


class Decays(NamedTuple):
    """1 - beta: ``momenta`` ``(..., 3)``, ``second`` ``(...)``, ``factors`` ``(..., 3)``."""

    momenta: Tensor
    second: Tensor
    factors: Tensor


class Network(NamedTuple):
    """Weights of the small network, each with leading axes ``...`` where theta has them.

    ``inner`` ``(hidden, 28)``: columns 0-3 gradient, value, root of the second moment and its
    inverse; 4-6 momenta; 7-9 momenta over the root, the Adam directions; 10-12 gradient and
    13-15 momenta over the factored root; 16-18 roots of the rows and 19-21 their inverses;
    22-27 those of the columns. 7-15 have the corrections of Adam for the start, and no unit; the
    others are divided by their root mean square over the tensor.
    """

    inner: Tensor
    time: Tensor
    inner_bias: Tensor
    middle: Tensor
    middle_bias: Tensor
    outer: Tensor
    outer_bias: Tensor
    rate: Tensor
    learning_rate: Tensor


def decays_of(theta: Params) -> Decays:
    """Return 1 - beta of all averages, with the leading axes that theta has."""

    def changed(betas: tuple[float, ...], change: Tensor) -> Tensor:
        start = torch.tensor([math.log(1 - beta) for beta in betas], device=change.device)
        return torch.clamp(torch.exp(start + DECAY_SCALE * change), 1e-6, 1.0)

    return Decays(
        changed(MOMENTA, theta["momentum_decay"]),
        changed((SECOND,), theta["second_decay"][..., None])[..., 0],
        changed(MOMENTA, theta["factor_decay"]),
    )


def network_of(theta: Params, learning_rate: float) -> Network:
    """Return the weights as the step uses them, with the leading axes that theta has."""
    return Network(
        theta["inner"],
        theta["time"],
        theta["inner_bias"],
        theta["middle"],
        theta["middle_bias"],
        OUTPUT_SCALE * theta["outer"],
        OUTPUT_SCALE * theta["outer_bias"],
        RATE_SCALE * theta["rate"],
        learning_rate * torch.ones_like(theta["second_decay"]),
    )


class Corrections(NamedTuple):
    """What the averages, which start at zero, are divided by: ``1 - beta^t`` and its roots."""

    momenta: Tensor  # (..., 3)
    second: Tensor  # (...)
    factors: Tensor  # (..., 3)


def corrections(decays: Decays, step: Tensor, *, factored: bool = True) -> Corrections:
    """For ``step`` ``(...)``, counted from 1 (Kingma & Ba 2015, section 3)."""

    def reached(decay: Tensor, step: Tensor) -> Tensor:
        return -torch.expm1(step * torch.log1p(-decay))

    second = reached(decays.second, step).sqrt()
    factors = reached(decays.factors, step[..., None]).sqrt()
    if not factored:
        factors = second[..., None].expand(factors.shape)
    return Corrections(reached(decays.momenta, step[..., None]), second, factors)


def input_scales(square: Tensor, corrected: Corrections) -> Tensor:
    """Factors of the inputs ``(..., 28)``, from their mean squares ``(..., 28)``."""
    momenta, second, factors = corrected
    return torch.cat(
        [
            torch.rsqrt(square[..., :7] + EPSILON**2),
            *(second[..., None] / momenta, factors, factors / momenta),
            torch.rsqrt(square[..., 16:] + EPSILON**2),
        ],
        -1,
    )


def matrix_shape(shape: torch.Size) -> tuple[int, int]:
    """Rows and columns of a tensor as a matrix; one row if its moments are not worth factoring."""
    count = math.prod(shape)
    rows = shape[0] if len(shape) > 1 else 1
    if min(rows, count // max(rows, 1)) < 4:
        return 1, count
    return rows, count // rows


def step_size(
    network: Network,
    time: Tensor,
    square: Tensor,
    corrected: Corrections,
    shape: tuple[int, int],
) -> Tensor:
    """The size ``(...)`` of a tensor's step, from what is known of the tensor.

    ``time`` ``(..., 21)``; ``square`` ``(..., 28)`` are the mean squares of the inputs, of which
    those of value and of the Adam directions, the share of signal in the gradient, are used.
    """
    rows, columns = shape
    fixed = torch.tensor(
        [1.0, math.log(max(rows * columns, 1)) / 5, float(rows > 1)], device=time.device
    )
    square = square.clamp(max=LARGEST_SQUARE)
    scale = torch.log(square[..., 1:2] + 1e-8) / 4
    ratio = corrected.second[..., None] / corrected.momenta
    signal = torch.log(square[..., 7:10] * ratio * ratio + 1e-8) / 4
    inputs = torch.cat([time, fixed.expand(*time.shape[:-1], 3), scale, signal], -1)
    head = torch.clamp((network.rate * inputs).sum(-1), -12.0, 7.0)
    return network.learning_rate * torch.exp(head)
