"""The step of the small optimizer, fast: nothing of size parameters x inputs is written.

Two passes over a tensor: the averages and the sums that the normalisation needs; then, with the
network folded for the tensor, the step itself. Both are done by PyTorch in pieces that stay in
the cache, or by a compiled loop.

A leading axis N of networks, each with its own theta, runs through everything.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nascence.optim.small.compiled import Loops
from nascence.optim.small.folding import Sums, fold
from nascence.optim.small.network import (
    Corrections,
    Decays,
    Network,
    corrections,
    matrix_shape,
)
from nascence.optim.small.pieces import Passes, Pieces, Work
from nascence.optim.time_features import time_features
from nascence.params import Params


class Clock(NamedTuple):
    """What one tensor of N networks is told of time: ``(N,)``, ``(N, 21)``, and corrections."""

    step: Tensor
    time: Tensor
    corrected: Corrections


def clocks(decays: Decays, states: list[Params], num_steps: Tensor) -> Iterator[Clock]:
    """The clock of the next step of each of several tensors, computed together."""
    steps = torch.stack([state["step"] for state in states]) + 1
    times = time_features(steps, num_steps.expand(steps.shape))
    together = corrections(decays, steps)
    for index, state in enumerate(states):
        corrected = Corrections(*(part[index] for part in together))
        if "row" not in state:
            same = corrected.second[:, None].expand_as(corrected.factors)
            corrected = corrected._replace(factors=same)
        yield Clock(steps[index], times[index], corrected)


def step_stacked(
    network: Network,
    decays: Decays,
    clock: Clock,
    grad: Tensor,
    old: Params,
    value: Tensor,
    *,
    compiled: bool = False,
) -> tuple[Tensor, Params]:
    """The step of one tensor of N networks: what to add to it ``(N, ...)`` and its next state.

    Every argument has the leading axis N; none is written. ``compiled`` takes the compiled loop
    for a CPU.
    """
    new = {name: torch.empty_like(old[name]) for name in ("momenta", "second")}
    target = torch.zeros(value.shape, device=value.device)
    following = step_into(network, decays, clock, grad, old, value, new, target, compiled=compiled)
    return target, following


def step_into(
    network: Network,
    decays: Decays,
    clock: Clock,
    grad: Tensor,
    old: Params,
    value: Tensor,
    new: Params,
    target: Tensor,
    *,
    compiled: bool = False,
) -> Params:
    """`step_stacked` into tensors given: ``new`` may be ``old``, and ``target`` ``value``.

    The step is added to ``target``. Returns the next state.
    """
    count = grad.shape[0]
    rows, columns = shape = matrix_shape(grad.shape[1:])
    plain, triple = (count, rows, columns), (count, 3, rows, columns)
    work = Work(
        grad.float().reshape(plain),
        value.reshape(plain),
        old["momenta"].reshape(triple),
        old["second"].reshape(plain),
        new["momenta"].view(triple),
        new["second"].view(plain),
        target.view(plain),
    )
    if compiled and grad.device.type == "cpu":
        passes: Passes = Loops(work, hidden=network.inner.shape[1])
    else:
        passes = Pieces(work, hidden=network.inner.shape[1])
    sums = passes.moments(decays)
    following = {"momenta": new["momenta"], "second": new["second"], "step": clock.step}
    averages = None
    if "row" in old:
        averages = _averages(decays, old, sums, shape)
        following["row"], following["column"] = averages
    passes.apply(fold(network, clock.time, clock.corrected, sums.squares, shape, averages))
    return following


def _averages(
    decays: Decays, old: Params, sums: Sums, shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The next averages of rows ``(N, 3, rows)`` and columns ``(N, 3, columns)``."""
    rows, columns = shape
    assert sums.by_row is not None
    assert sums.by_column is not None
    change = decays.factors[:, :, None]
    row = old["row"] + change * (sums.by_row[:, None] / columns - old["row"])
    column = old["column"] + change * (sums.by_column[:, None] / rows - old["column"])
    return row, column
