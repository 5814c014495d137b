"""The step of the hierarchical optimizer, fast: two passes over each tensor.

The first moves the averages on and sums what the LSTM is told; the second takes the step. Both
are done by PyTorch in pieces that stay in the cache, or by compiled loops.
"""

import torch
from torch import Tensor

from nascence.optim import perceptron
from nascence.optim.contract import Losses, State
from nascence.optim.hierarchical.compiled import Loops
from nascence.optim.hierarchical.controller import begin, control
from nascence.optim.hierarchical.inputs import (
    DECAYS,
    EPSILON,
    PLANES,
    SCALE,
    means_of_sums,
    shared_inputs,
    statistics_of,
)
from nascence.optim.hierarchical.losses import loss_inputs
from nascence.params import Params


class HierarchicalKernel(perceptron.PerceptronKernel):
    """The step of `nascence.optim.Hierarchical` in place, in pieces or in compiled loops."""

    def _step_one_(
        self, grads: Params, state: State, params: Params, rates: dict[str, float], losses: Losses
    ) -> None:
        shared, bound = begin(grads, state["shared"], *losses)
        inputs = loss_inputs(shared, losses[0])
        slots = [state["tensors"][name] for name in grads]
        passes = self._passes(grads, slots, params, bound)
        means, statistics, squares = [], [], []
        for grad, each in zip(grads.values(), passes, strict=True):
            sums, square = each.sums()
            squares.append(square)
            means.append(means_of_sums(sums, square, grad.numel()))
            statistics.append(statistics_of(means[-1], grad.shape, inputs))
        hidden, cell, said, shared["from_all"] = control(
            dict(self.optimizer.named_parameters()), statistics, slots, shared["from_all"]
        )
        for index, (name, grad) in enumerate(grads.items()):
            mine = slots[index]
            told = shared_inputs(mine["step"], len(grads), means[index], said[index], grad)
            out = passes[index].step_(
                *(self.network, told, squares[index]),
                scale=SCALE,
                rate=rates[name],
                nominal=self.nominal,
            )
            mine["from_perceptron"].copy_(out[2:])
            mine["hidden"].copy_(hidden[index])
            mine["cell"].copy_(cell[index])
        for key, value in shared.items():
            state["shared"][key].copy_(value)

    def _passes(
        self, grads: Params, slots: list[Params], params: Params, bound: Tensor
    ) -> list["Loops | _Pieces"]:
        """Count the step of every tensor, and prepare its passes."""
        compiled = self.optimizer.compiled and bound.device.type == "cpu"
        room = perceptron.room_for(PLANES, self.network, [grad.numel() for grad in grads.values()])
        passes: list[Loops | _Pieces] = []
        for (name, grad), mine in zip(grads.items(), slots, strict=True):
            mine["step"] += 1
            tensors = (grad, params[name], mine["momenta"], mine["seconds"])
            if compiled:
                hidden = len(self.network.second)
                passes.append(Loops(*tensors, step=mine["step"], limit=bound.item(), hidden=hidden))
            else:
                passes.append(_Pieces(*tensors, step=mine["step"], limit=bound.item(), room=room))
        return passes


class _Pieces(perceptron.Pieces):
    """One tensor: what is made of the averages in the room, these where they are."""

    planes = PLANES
    decays = second_decays = DECAYS

    def fill(self, piece: slice, room: Tensor) -> list[Tensor]:
        """See `nascence.optim.perceptron.Pieces.fill`."""
        momenta, seconds = (averages[:, piece] for averages, _ in self.averages)
        room[0].copy_(self.grad[piece]).clamp_(-self.limit, self.limit)
        torch.abs(room[1].copy_(self.value[piece]), out=room[2]).add_(EPSILON).log_()
        inverse = torch.add(seconds, EPSILON, out=room[8:13]).rsqrt_()
        torch.mul(momenta, inverse, out=room[3:8])
        return [momenta, seconds]
