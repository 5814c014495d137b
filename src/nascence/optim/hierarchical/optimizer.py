"""The hierarchical learned optimizer of Metz et al. (2020, arXiv:2009.11243), appendix C.

An LSTM for each tensor, fed with statistics of the tensor, the training and validation loss, and
the mean of what the LSTMs of all tensors said in the step before; and a perceptron for each
parameter, fed with its averages and with what the LSTM of its tensor says.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nascence.optim import perceptron
from nascence.optim.contract import LearnedOptimizer, State, horizon
from nascence.optim.feed_forward import (
    LARGEST_GRADIENT,
    adam_step,
    adam_step_into,
    average_,
    averaged,
    random_perceptron,
)
from nascence.optim.hierarchical.compiled import SOURCE, Loops
from nascence.optim.hierarchical.inputs import (
    DECAYS,
    EPSILON,
    OWN_INPUTS,
    PLANES,
    STATISTICS,
    means_of,
    means_of_sums,
    own_inputs,
    root,
    statistics_of,
)
from nascence.optim.hierarchical.losses import empty_tracker, loss_inputs, track
from nascence.optim.perceptron import Perceptron
from nascence.optim.time_features import PERIODS
from nascence.params import Params

SCALE = 1e-3
LSTM = 64
TO_PERCEPTRON = 17
TO_ALL = 18
FROM_PERCEPTRON = 16
INPUTS = OWN_INPUTS + PERIODS + 3 + TO_PERCEPTRON
CLIP = 10.0
CLIP_DECAY = 0.99


class Hierarchical(LearnedOptimizer):
    """The hierarchical optimizer, 40 bytes of state a parameter and 576 a tensor.

    The step is ``-0.001 d exp(0.001 a)`` from outputs d and a of the perceptron, plus, if
    ``nominal`` is a learning rate, that of Adam. Gradients are clipped elementwise at ten times
    a running root mean square. Theta: `Perceptron` with 54 inputs and 18 outputs; the LSTM with 52
    inputs and its two linear readings; the learned initial recurrent values.
    """

    source = SOURCE

    def __init__(
        self,
        hidden: int = 32,
        *,
        nominal: float | None = 1e-3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if generator is None:
            generator = torch.Generator().manual_seed(0)
        self.hidden, self.nominal = hidden, nominal
        outputs = 2 + FROM_PERCEPTRON
        self.network = nn.ParameterDict(
            random_perceptron(INPUTS, hidden, outputs, nominal, generator)
        )
        inputs = STATISTICS + FROM_PERCEPTRON + TO_ALL

        def normal(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns, generator=generator) * rows**-0.5)

        self.of_input, self.of_hidden = normal(inputs, 4 * LSTM), normal(LSTM, 4 * LSTM)
        self.gate_bias = nn.Parameter(torch.zeros(4 * LSTM))
        self.to_perceptron, self.to_all = normal(LSTM, TO_PERCEPTRON), normal(LSTM, TO_ALL)
        self.first_hidden = nn.Parameter(torch.zeros(LSTM))
        self.first_cell = nn.Parameter(torch.zeros(LSTM))
        self.first_from_perceptron = nn.Parameter(torch.zeros(FROM_PERCEPTRON))
        self.first_from_all = nn.Parameter(torch.zeros(TO_ALL))

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments that make another one of the same form."""
        return {"hidden": self.hidden, "nominal": self.nominal}

    @property
    def uses_loss(self) -> bool:
        """Whether a loss given to `update` changes anything."""
        return True

    def init(self, params: Params, *, num_steps: Tensor | float | None = None) -> State:
        tensors = {}
        for name, value in params.items():
            zeros = value.new_zeros((len(DECAYS), *value.shape), dtype=torch.float32)
            tensors[name] = {
                "step": value.new_zeros((), dtype=torch.float32),
                "momenta": zeros,
                "seconds": zeros.clone(),
                "hidden": self.first_hidden.detach().clone(),
                "cell": self.first_cell.detach().clone(),
                "from_perceptron": self.first_from_perceptron.detach().clone(),
            }
        shared = {
            "num_steps": horizon(num_steps),
            "step": torch.zeros(()),
            "from_all": self.first_from_all.detach().clone(),
            "square": torch.zeros(()),
            **empty_tracker(),
        }
        return {"tensors": tensors, "shared": shared}

    def update(
        self,
        grads: Params,
        state: State,
        params: Params,
        *,
        loss: Tensor | None = None,
        valid_loss: Tensor | None = None,
    ) -> tuple[Params, State]:
        shared, bound = self._begin(grads, state["shared"], loss, valid_loss)
        tensors, updates = dict(state["tensors"]), {}
        losses = loss_inputs(shared, loss)
        new, statistics = {}, []
        for name, grad in grads.items():
            old = state["tensors"][name]
            grad = torch.clamp(grad.float(), -bound, bound)
            new[name] = {
                **old,
                "step": old["step"] + 1,
                "momenta": averaged(old["momenta"], grad, DECAYS),
                "seconds": averaged(old["seconds"], grad * grad, DECAYS),
            }
            means = means_of(grad, params[name].float(), new[name])
            statistics.append(statistics_of(means, grad.shape, losses))
        hidden, cell, said = self._lstm(statistics, new, state["shared"]["from_all"])
        network = Perceptron(**dict(self.network.items()))
        for index, (name, grad) in enumerate(grads.items()):
            slots = new[name]
            inputs = own_inputs(torch.clamp(grad.float(), -bound, bound), params[name], slots)
            norm = torch.log(root(params[name].float().square().sum()))
            told = self._shared_inputs(slots["step"], len(grads), norm, grad.numel(), said[index])
            flat = perceptron.normalised(inputs)
            out = perceptron.forward(
                network, torch.cat([flat, told.expand(len(flat), len(told))], 1)
            )
            step = perceptron.learned_step(out, SCALE).reshape(grad.shape)
            if self.nominal is not None:
                first, second = slots["momenta"][1], slots["seconds"][3]
                step = step + adam_step(first, second, slots["step"], self.nominal)
            updates[name] = step
            following = {"hidden": hidden[index], "cell": cell[index]}
            tensors[name] = {**slots, **following, "from_perceptron": out.mean(0)[2:]}
        shared["from_all"] = (hidden @ self.to_all).mean(0)
        return updates, {"tensors": tensors, "shared": shared}

    @torch.no_grad()
    def step_(
        self,
        grads: Params,
        state: State,
        params: Params,
        *,
        rates: dict[str, float],
        loss: Tensor | None = None,
        valid_loss: Tensor | None = None,
    ) -> None:
        shared, bound = self._begin(grads, state["shared"], loss, valid_loss)
        losses, limit = loss_inputs(shared, loss), bound.item()
        compiled = self.compiled and bound.device.type == "cpu"
        sizes = [grad.numel() for grad in grads.values()]
        room = perceptron.room_for(PLANES, self.hidden, sizes, bound.device)
        statistics, norms, begun = [], [], []
        for name, grad in grads.items():
            slots = state["tensors"][name]
            slots["step"] += 1
            passes: Loops | tuple[perceptron.Pieces, Callable[[slice], None]]
            if compiled:
                passes = Loops(grad, params[name], slots, limit=limit, hidden=self.hidden)
                sums, squares = passes.sums()
            else:
                passes = self._pieces(grad, slots, params[name], limit, room)
                sums, squares = passes[0].sums(passes[1])
            means = means_of_sums(sums, squares, grad.numel())
            norms.append(torch.log(means["norm"]))
            statistics.append(statistics_of(means, grad.shape, losses))
            begun.append((passes, squares))
        hidden, cell, said = self._lstm(
            statistics, {name: state["tensors"][name] for name in grads}, shared["from_all"]
        )
        network = Perceptron(**dict(self.network.items()))
        for index, (name, grad) in enumerate(grads.items()):
            slots = state["tensors"][name]
            told = self._shared_inputs(
                slots["step"], len(grads), norms[index], grad.numel(), said[index]
            )
            passes, squares = begun[index]
            if isinstance(passes, Loops):
                out = passes.step_(
                    *(network, told, squares),
                    scale=SCALE,
                    rate=rates[name],
                    nominal=self.nominal,
                )
            else:
                out = passes[0].step_(
                    *(network, told, squares, params[name].view(-1)),
                    scale=SCALE,
                    rate=rates[name],
                    nominal=None if self.nominal is None else self._nominal(slots),
                )
            slots["from_perceptron"].copy_(out[2:])
            slots["hidden"].copy_(hidden[index])
            slots["cell"].copy_(cell[index])
        shared["from_all"] = (hidden @ self.to_all).mean(0)
        for key, value in shared.items():
            state["shared"][key].copy_(value)

    def _pieces(
        self, grad: Tensor, slots: Params, value: Tensor, limit: float, room: Tensor
    ) -> tuple[perceptron.Pieces, Callable[[slice], None]]:
        """One tensor in pieces, and what moves the averages of a piece on."""
        flat, old = grad.reshape(-1), value.view(-1)
        momenta = slots["momenta"].view(len(DECAYS), -1)
        seconds = slots["seconds"].view(len(DECAYS), -1)

        def before(piece: slice) -> None:
            new = flat[piece].float().clamp(-limit, limit)
            average_(momenta[:, piece], new, DECAYS)
            average_(seconds[:, piece], new.square_(), DECAYS)

        def fill(piece: slice, room: Tensor) -> list[Tensor]:
            room[0].copy_(flat[piece]).clamp_(-limit, limit)
            torch.abs(room[1].copy_(old[piece]), out=room[2]).add_(EPSILON).log_()
            inverse = torch.add(seconds[:, piece], EPSILON, out=room[8:13]).rsqrt_()
            torch.mul(momenta[:, piece], inverse, out=room[3:8])
            return [momenta[:, piece], seconds[:, piece]]

        pieces = perceptron.Pieces(
            fill, planes=PLANES, hidden=self.hidden, size=len(flat), room=room
        )
        return pieces, before

    def _nominal(self, slots: Params) -> Callable[[slice, Tensor], Tensor]:
        first, second = slots["momenta"][1].view(-1), slots["seconds"][3].view(-1)
        rate = self.nominal
        assert rate is not None

        def nominal(piece: slice, room: Tensor) -> Tensor:
            return adam_step_into(first[piece], second[piece], slots["step"], rate, room)

        return nominal

    def _begin(
        self, grads: Params, old: Params, loss: Tensor | None, valid_loss: Tensor | None
    ) -> tuple[Params, Tensor]:
        """The next shared state, of which ``from_all`` is still the last, and the clip bound."""
        step = old["step"] + 1
        mean = old["square"].new_zeros(())
        for grad in grads.values():
            norm = torch.linalg.vector_norm(grad, dtype=torch.float32)
            square = (norm / max(grad.numel(), 1) ** 0.5).clamp(max=LARGEST_GRADIENT) ** 2
            mean = mean + square / len(grads)
        root = old["square"] + (1 - CLIP_DECAY) * (mean.sqrt() - old["square"])
        shared = {**track(old, loss, valid_loss), "step": step, "square": root}
        bound = CLIP * root / (1 - CLIP_DECAY**step)
        return shared, bound.clamp(max=LARGEST_GRADIENT)

    def _lstm(
        self, statistics: list[Tensor], slots: dict[str, Params], from_all: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden and cell ``(tensors, 64)`` and what the perceptrons are told ``(tensors, 17)``."""
        if not slots:
            empty = from_all.new_zeros((0, LSTM))
            return empty, empty, empty[:, :TO_PERCEPTRON]
        told = torch.stack([slot["from_perceptron"] for slot in slots.values()])
        inputs = torch.cat([torch.stack(statistics), told, from_all.expand(len(slots), TO_ALL)], 1)
        hidden = torch.stack([slot["hidden"] for slot in slots.values()])
        cell = torch.stack([slot["cell"] for slot in slots.values()])
        gates = inputs @ self.of_input + hidden @ self.of_hidden + self.gate_bias
        enter, keep, leave, new = gates.chunk(4, 1)
        cell = torch.sigmoid(keep + 1) * cell + torch.sigmoid(enter) * torch.tanh(new)
        hidden = torch.sigmoid(leave) * torch.tanh(cell)
        return hidden, cell, hidden @ self.to_perceptron

    def _shared_inputs(
        self, step: Tensor, tensors: int, norm: Tensor, size: int, said: Tensor
    ) -> Tensor:
        """Inputs ``(31,)`` that all parameters of a tensor share; ``norm`` is log ‖w‖."""
        periods = torch.round(10 ** (torch.arange(PERIODS, device=step.device) / 2))
        time = torch.sin(step / (math.pi * periods))
        counts = step.new_tensor([math.log(tensors) - 1, math.log(max(size, 1))])
        return torch.cat([time, counts[:1], norm[None], counts[1:], said])
