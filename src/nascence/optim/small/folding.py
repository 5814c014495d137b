"""The network of the small optimizer, folded for one tensor as a loop over parameters needs it.

Of the 28 inputs of a parameter 12 depend on its row or column alone: they enter the first layer
as two sums of vectors. The normalisation of the inputs is a factor of the weights.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from nascence.optim.small.network import (
    EPSILON,
    INPUTS,
    Corrections,
    Network,
    input_scales,
    step_size,
)


class Sums(NamedTuple):
    """The sums that the first pass over a tensor of N networks finds.

    ``squares`` ``(N, 10)``: sums of squares of the inputs 0-9 (see `Network`). ``by_row``
    ``(N, rows)`` and ``by_column`` ``(N, columns)``: sums of squared gradients, of a factored
    tensor.
    """

    squares: Tensor
    by_row: Tensor | None
    by_column: Tensor | None


class Folded(NamedTuple):
    """The network of N networks for one tensor.

    Attributes:
        weights: ``(N, hidden, 16)`` of the inputs 0-15, or, if the tensor is not factored,
            ``(N, hidden, 11)`` of the inputs 0-9 and of the gradient over the root.
        by_row, by_column: ``(N, hidden, rows)`` and ``(N, hidden, columns)``, what is added in
            the first layer. Not factored: ``(N, hidden, 1)`` and None.
        down, across: ``(N, 3, rows)`` and ``(N, 3, columns)``; their product is one over the
            factored root. Not factored: None.
        middle, middle_bias: The second layer.
        outer, outer_bias: ``(N, 2, hidden)`` and ``(N, 2)``: ``n̂ (1 + a)`` over n, and d.
        size: ``(N,)``, minus the size of the step.
    """

    weights: Tensor
    by_row: Tensor
    by_column: Tensor | None
    down: Tensor | None
    across: Tensor | None
    middle: Tensor
    middle_bias: Tensor
    outer: Tensor
    outer_bias: Tensor
    size: Tensor

    def of(self, networks: slice) -> "Folded":
        """Select some of the networks."""
        return Folded(*(None if part is None else part[networks] for part in self))  # type: ignore[arg-type]


def fold(
    network: Network,
    time: Tensor,
    corrected: Corrections,
    squares: Tensor,
    shape: tuple[int, int],
    averages: tuple[Tensor, Tensor] | None,
) -> Folded:
    """Fold for a tensor of ``shape``, from the sums of squares ``(N, 10)`` of its inputs.

    ``averages`` are those of the rows ``(N, 3, rows)`` and columns ``(N, 3, columns)`` of a
    factored tensor.
    """
    rows, columns = shape
    square = squares.new_zeros((len(squares), INPUTS))
    square[:, :10] = squares / (rows * columns)
    shift = torch.baddbmm(network.inner_bias[:, :, None], network.time, time[:, :, None])
    if averages is None:
        first = _vector(network, square, corrected, shift)
    else:
        first = _matrix(network, square, corrected, shift, *averages)
    ratio = corrected.second / corrected.momenta[:, 0]
    scale = torch.stack([ratio, torch.ones_like(ratio)], 1)
    size = step_size(network, time, square, corrected, shape)
    return Folded(
        *first,
        network.middle,
        network.middle_bias,
        network.outer * scale[:, :, None],
        (network.outer_bias + scale.new_tensor([1.0, 0.0])) * scale,
        -size,
    )


_First = tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]


def _matrix(
    network: Network, square: Tensor, corrected: Corrections, shift: Tensor, *averages: Tensor
) -> _First:
    row, column = averages
    down, across = torch.rsqrt(row + EPSILON), torch.rsqrt(column + EPSILON)
    of_rows, of_columns = torch.cat([row.sqrt(), down], 1), torch.cat([column.sqrt(), across], 1)
    for first, ends in ((16, of_rows), (22, of_columns)):
        square[:, first : first + 6] = (ends * ends).mean(2)
    weights = network.inner * input_scales(square, corrected)[:, None]
    by_row = torch.baddbmm(shift, weights[:, :, 16:22], of_rows)
    by_column = torch.bmm(weights[:, :, 22:], of_columns)
    down = down * (row.mean(2, keepdim=True) + EPSILON).sqrt()
    return weights[:, :, :16].contiguous(), by_row, by_column, down, across


def _vector(network: Network, square: Tensor, corrected: Corrections, shift: Tensor) -> _First:
    """Where the factored moments are the second moment itself, inputs are equal."""
    square[:, 16:19] = square[:, 22:25] = square[:, 2:3]
    square[:, 19:22] = 1 / (square[:, 2:3] + EPSILON)
    square[:, 25:] = square[:, 3:4]
    weights = network.inner * input_scales(square, corrected)[:, None]
    shift = torch.baddbmm(shift, weights[:, :, 16:22], square[:, 16:22, None].sqrt())
    # The columns of weights for equal inputs are added: (N, hidden, 6 groups, 3).
    groups = weights[:, :, 10:].unflatten(2, (6, 3))
    chosen = torch.cat([weights[:, :, :10], groups[:, :, 0].sum(2, keepdim=True)], 2)
    chosen[:, :, 2] += groups[:, :, 4].sum(2)
    chosen[:, :, 3] += groups[:, :, 5].sum(2)
    chosen[:, :, 7:10] += groups[:, :, 1]
    return chosen, shift, None, None, None
