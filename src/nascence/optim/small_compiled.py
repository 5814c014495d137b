"""The step of the small optimizer for ``torch.compile``: one loop over the parameters each pass.

The hidden units are written out one by one, so that the compiler keeps what belongs to a
parameter in registers and writes nothing but the new state and value.
"""

from functools import lru_cache
from typing import Any

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


def _moments(
    grad: Tensor, value: Tensor, momenta: Tensor, second: Tensor, decays: Decays
) -> tuple[Tensor, ...]:
    """Moves the averages of a matrix on; sums of squares of what has to be normalised."""
    g = grad.clamp(-LARGEST_GRADIENT, LARGEST_GRADIENT)
    moved = [momenta[k] + decays.momenta[k] * (g - momenta[k]) for k in range(3)]
    square = g * g
    new_second = second + decays.second * (square - second)
    inverse = torch.rsqrt(new_second + EPSILON)
    values = [value, torch.sqrt(new_second), inverse, *moved, *(m * inverse for m in moved)]
    sums = [x.square().sum() for x in values]
    for k in range(3):
        momenta[k].copy_(moved[k])
    second.copy_(new_second)
    return square.sum(1), square.sum(0), torch.stack(sums)


def _apply(
    grad: Tensor,
    value: Tensor,
    momenta: Tensor,
    second: Tensor,
    sides: tuple[Tensor, Tensor, Tensor, Tensor],
    layers: tuple[Tensor, ...],
    target: Tensor,
    size: Tensor,
) -> None:
    """The network for each parameter of a matrix; adds the step to ``target``.

    ``sides``: by row ``(hidden, rows)`` and ``(3, rows)``, by column ``(hidden, columns)`` and
    ``(3, columns)``: parts of the first layer, and of the factored root.
    """
    by_row, down, by_column, across = sides
    first, middle, middle_bias, outer, outer_bias = layers
    g = grad.clamp(-LARGEST_GRADIENT, LARGEST_GRADIENT)
    inverse = torch.rsqrt(second + EPSILON)
    factors = [down[k][:, None] * across[k][None] for k in range(3)]
    adam = [momenta[k] * inverse for k in range(3)]
    inputs = [g, value, torch.sqrt(second), inverse, *(momenta[k] for k in range(3)), *adam]
    inputs += [g * factor for factor in factors]
    inputs += [momenta[k] * factors[k] for k in range(3)]
    hidden = []
    for unit in range(first.shape[0]):
        total = by_row[unit][:, None] + by_column[unit][None]
        for k, x in enumerate(inputs):
            total = total + first[unit, k] * x
        hidden.append(torch.relu(total))
    for weights, bias in ((middle, middle_bias), (outer, outer_bias)):
        following = []
        for unit in range(weights.shape[0]):
            total = bias[unit]
            for k, x in enumerate(hidden):
                total = total + weights[unit, k] * x
            following.append(torch.relu(total) if weights is middle else total)
        hidden = following
    direction = adam[0] * hidden[0] + hidden[1]
    direction = direction.clamp(-LARGEST_DIRECTION, LARGEST_DIRECTION)
    target.add_(direction * size)


@lru_cache(maxsize=1)
def _compiled() -> tuple[Any, Any]:
    return torch.compile(_moments, dynamic=True), torch.compile(_apply, dynamic=True)


def step_into(
    network: Network,
    decays: Decays,
    grad: Tensor,
    slots: Params,
    value: Tensor,
    num_steps: Tensor,
) -> Params:
    """The step of one factored tensor, added to ``value``; ``slots`` moves on.

    Weights have no leading axis here. Returns the next row and column averages and step.
    """
    moments, apply = _compiled()
    rows, columns = shape = matrix_shape(value.shape)
    grad, matrix = grad.reshape(shape), value.view(shape)
    momenta, second = slots["momenta"].view(3, rows, columns), slots["second"].view(shape)
    step = slots["step"] + 1
    row, column, sums = moments(grad, matrix, momenta, second, decays)
    square = torch.zeros(INPUTS, device=value.device)
    square[0] = row.sum() / (rows * columns)
    square[1:10] = sums / (rows * columns)
    change = decays.factors[:, None]
    row = torch.lerp(slots["row"], (row / columns).expand_as(slots["row"]), change)
    column = torch.lerp(slots["column"], (column / rows).expand_as(slots["column"]), change)
    down, across = torch.rsqrt(row + EPSILON), torch.rsqrt(column + EPSILON)
    ends = [row.sqrt(), down, column.sqrt(), across]
    square[16:] = torch.cat([(end * end).mean(1) for end in ends])
    corrected = corrections(decays, step, factored=True)
    time = time_features(step, num_steps)
    weights = network.inner * input_scales(square, corrected)
    shift = network.time @ time + network.inner_bias
    sides = (
        weights[:, 16:22] @ torch.cat(ends[:2]) + shift[:, None],
        down * (row.mean(1, keepdim=True) + EPSILON).sqrt(),
        weights[:, 22:] @ torch.cat(ends[2:]),
        across,
    )
    scale, bias = _nominal(network, corrected)
    layers = (weights[:, :16].contiguous(), network.middle, network.middle_bias, scale, bias)
    size = -step_size(network, time, square, corrected, shape)
    apply(grad, matrix, momenta, second, sides, layers, matrix, size)
    return {"row": row, "column": column, "step": step}


def _nominal(network: Network, corrected: Corrections) -> tuple[Tensor, Tensor]:
    """The last layer with ``n̂ (1 + a)`` over n in place of a."""
    ratio = corrected.second / corrected.momenta[0]
    scale = torch.stack([ratio, torch.ones_like(ratio)])
    one = scale.new_tensor([1.0, 0.0])
    return network.outer * scale[:, None], (network.outer_bias + one) * scale
