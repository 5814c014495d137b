"""The step of the small optimizer, without writing anything of size parameters x inputs.

Two passes over a tensor: the averages and the sums that the normalisation needs; then, with the
network folded for the tensor, the step itself. Both are done by PyTorch in pieces that stay in
the cache, or by a compiled loop.

A leading axis N of networks, each with its own theta, runs through everything.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nascence.optim.contract import Kernel, LearnedOptimizer, Losses, State
from nascence.optim.small.compiled import Loops
from nascence.optim.small.folding import Sums, fold
from nascence.optim.small.network import (
    Corrections,
    Decays,
    Network,
    corrections,
    decays_of,
    matrix_shape,
    network_of,
)
from nascence.optim.small.pieces import Passes, Pieces, Work
from nascence.optim.time_features import time_features
from nascence.params import Params


class Clock(NamedTuple):
    """Time inputs for one tensor of N networks: ``(N,)``, ``(N, 21)``, and corrections."""

    step: Tensor
    time: Tensor
    corrected: Corrections


class SmallKernel(Kernel):
    """The step of `nascence.optim.Small` in place, in pieces or in compiled loops."""

    def __init__(self, optimizer: LearnedOptimizer, *, learning_rate: float) -> None:
        super().__init__(optimizer)
        self.learning_rate = learning_rate

    def _step_one_(
        self, grads: Params, state: State, params: Params, rates: dict[str, float], losses: Losses
    ) -> None:

        def stacked(values: Params) -> Params:
            return {name: value[None] for name, value in values.items()}

        tensors = {name: stacked(state["tensors"][name]) for name in grads}
        one: State = {"tensors": tensors, "shared": stacked(state["shared"])}
        theta = stacked(dict(self.optimizer.named_parameters()))
        self._step_(theta, stacked(grads), one, stacked(params), rates)

    @torch.no_grad()
    def step_stacked_(
        self, theta: Params, grads: Params, state: State, params: Params, *, loss: Tensor
    ) -> None:
        """Take a step of N networks, tensors ``(N, ...)``; see `Kernel.step_stacked_`."""
        self._step_(theta, grads, state, params, dict.fromkeys(grads, 1.0))

    def _step_(
        self, theta: Params, grads: Params, state: State, params: Params, rates: dict[str, float]
    ) -> None:
        if not grads:
            return
        network, decays = network_of(theta, self.learning_rate), decays_of(theta)
        tensors = [state["tensors"][name] for name in grads]
        told = clocks(decays, tensors, state["shared"]["num_steps"])
        for (name, grad), slots, clock in zip(grads.items(), tensors, told, strict=True):
            scaled = network
            if rates[name] != 1:
                scaled = network._replace(learning_rate=network.learning_rate * rates[name])
            self._step_tensor_(scaled, decays, clock, grad, slots, params[name])

    def _step_tensor_(
        self,
        network: Network,
        decays: Decays,
        clock: Clock,
        grad: Tensor,
        slots: Params,
        value: Tensor,
    ) -> None:
        """Take a step of one tensor ``(N, ...)`` of N networks."""
        count = grad.shape[0]
        rows, columns = shape = matrix_shape(grad.shape[1:])
        work = Work(
            grad.float().reshape(count, rows, columns),
            value.view(count, rows, columns),
            slots["momenta"].view(count, 3, rows, columns),
            slots["second"].view(count, rows, columns),
        )
        hidden = network.inner.shape[1]
        compiled = self.optimizer.compiled and grad.device.type == "cpu"
        passes: Passes = (Loops if compiled else Pieces)(work, hidden=hidden)
        sums = passes.moments(decays)
        slots["step"].copy_(clock.step)
        averages = _average_(decays, slots, sums, shape) if "row" in slots else None
        passes.apply(fold(network, clock.time, clock.corrected, sums.squares, shape, averages))


def clocks(decays: Decays, states: list[Params], num_steps: Tensor) -> Iterator[Clock]:
    """The time features of the next step of each of several tensors; ``num_steps`` is ``(N,)``."""
    steps = torch.stack([state["step"] for state in states]) + 1
    times = time_features(steps, num_steps.expand(steps.shape))
    together = corrections(decays, steps)
    for index, state in enumerate(states):
        corrected = Corrections(*(part[index] for part in together))
        if "row" not in state:
            same = corrected.second[:, None].expand_as(corrected.factors)
            corrected = corrected._replace(factors=same)
        yield Clock(steps[index], times[index], corrected)


def _average_(
    decays: Decays, slots: Params, sums: Sums, shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Move the averages of rows ``(N, 3, rows)`` and columns ``(N, 3, columns)`` on."""
    rows, columns = shape
    assert sums.by_row is not None
    assert sums.by_column is not None
    change = decays.factors[:, :, None]
    for name, mean in (("row", sums.by_row / columns), ("column", sums.by_column / rows)):
        slots[name] += change * (mean[:, None] - slots[name])
    return slots["row"], slots["column"]
