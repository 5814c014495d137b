"""A small learned optimizer: factored features, a tiny network for each parameter.

After Metz et al. (2022, "Practical tradeoffs between memory, compute, and performance in learned
optimizers"): the inputs are the gradient, the value, three momenta, a second moment and its
factored row and column averages at three decays. Here every input is linear in the gradient or
in its inverse (square roots of second moments), so that the scale of a loss does not matter and
nothing overflows; the network changes an Adam direction, so that an untrained one is nearly
Adam; and a linear head on what is known of a whole tensor sets the size of its step.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from nascence.optim.contract import LearnedOptimizer, State, horizon
from nascence.optim.small.compiled import SOURCE
from nascence.optim.small.kernel import clocks, step_into, step_stacked
from nascence.optim.small.network import (
    EPSILON,
    INPUTS,
    LARGEST_DIRECTION,
    LARGEST_GRADIENT,
    TENSOR_INPUTS,
    Decays,
    Network,
    corrections,
    input_scales,
    matrix_shape,
    step_size,
)
from nascence.optim.time_features import TIME_FEATURES, time_features
from nascence.params import Params

MOMENTA = (0.9, 0.99, 0.999)
SECOND = 0.999
# A change of theta by 0.01, as evolution strategies make it, should change a step by some per cent.
OUTPUT_SCALE = 2.0
RATE_SCALE = 5.0
DECAY_SCALE = 5.0


class Small(LearnedOptimizer):
    """The small learned optimizer, 16 bytes of state a parameter.

    Theta: ``inner`` ``(hidden, 28)``, ``time`` ``(hidden, 21)``, ``inner_bias`` ``(hidden,)``,
    ``middle`` ``(hidden, hidden)``, ``middle_bias``, ``outer`` ``(2, hidden)``, ``outer_bias``
    ``(2,)``: the network. ``rate`` ``(28,)``: the head. ``momentum_decay`` ``(3,)``,
    ``second_decay`` ``()``, ``factor_decay`` ``(3,)``: changes of ``log(1 - beta) / 5``.

    The step of a parameter with Adam direction n is
    ``-learning_rate exp(head) clip(n (1 + a) + d, ±8)`` with a and d from the network.
    """

    source = SOURCE

    def __init__(
        self,
        hidden: int = 4,
        *,
        learning_rate: float = 1e-3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if hidden < 1 or not learning_rate > 0:
            raise ValueError(f"hidden={hidden}, learning_rate={learning_rate}; both are positive")
        if generator is None:
            generator = torch.Generator().manual_seed(0)
        self.hidden = hidden
        self.learning_rate = learning_rate

        def normal(rows: int, columns: int, deviation: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns, generator=generator) * deviation)

        self.inner = normal(hidden, INPUTS, INPUTS**-0.5)
        self.time = normal(hidden, TIME_FEATURES, 0.1 * TIME_FEATURES**-0.5)
        self.inner_bias = nn.Parameter(torch.zeros(hidden))
        self.middle = normal(hidden, hidden, (2 / hidden) ** 0.5)
        self.middle_bias = nn.Parameter(torch.zeros(hidden))
        self.outer = normal(2, hidden, 0.01)
        self.outer_bias = nn.Parameter(torch.zeros(2))
        self.rate = nn.Parameter(torch.zeros(TENSOR_INPUTS))
        self.momentum_decay = nn.Parameter(torch.zeros(3))
        self.second_decay = nn.Parameter(torch.zeros(()))
        self.factor_decay = nn.Parameter(torch.zeros(3))

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments that make another one of the same form."""
        return {"hidden": self.hidden, "learning_rate": self.learning_rate}

    def init(self, params: Params, *, num_steps: Tensor | float | None = None) -> State:
        tensors = {}
        for name, value in params.items():
            rows, columns = matrix_shape(value.shape)
            new = value.new_zeros
            tensors[name] = {
                "step": new((), dtype=torch.float32),
                "momenta": new((3, *value.shape), dtype=torch.float32),
                "second": new(value.shape, dtype=torch.float32),
            }
            if rows > 1:
                tensors[name]["row"] = new((3, rows), dtype=torch.float32)
                tensors[name]["column"] = new((3, columns), dtype=torch.float32)
        return {"tensors": tensors, "shared": {"num_steps": horizon(num_steps)}}

    def update(
        self,
        grads: Params,
        state: State,
        params: Params,
        *,
        loss: Tensor | None = None,
        valid_loss: Tensor | None = None,
    ) -> tuple[Params, State]:
        theta: Params = dict(self.named_parameters())
        updates, tensors = {}, dict(state["tensors"])
        for name, grad in grads.items():
            old = state["tensors"][name]
            updates[name], tensors[name] = self._plain(
                theta, grad, old, params[name], state["shared"]["num_steps"]
            )
        return updates, {"tensors": tensors, "shared": state["shared"]}

    def update_stacked(
        self, theta: Params, grads: Params, state: State, params: Params, *, loss: Tensor
    ) -> tuple[Params, State]:
        network, decays = self.network(theta), self.decays(theta)
        old = [state["tensors"][name] for name in grads]
        updates, tensors = {}, dict(state["tensors"])
        told = clocks(decays, old, state["shared"]["num_steps"])
        for (name, grad), slots, clock in zip(grads.items(), old, told, strict=True):
            updates[name], tensors[name] = step_stacked(
                *(network, decays, clock, grad, slots, params[name]), compiled=self.compiled
            )
        return updates, {"tensors": tensors, "shared": state["shared"]}

    def step_stacked_(
        self, theta: Params, grads: Params, state: State, params: Params, *, loss: Tensor
    ) -> None:
        self._step_(theta, grads, state, params, dict.fromkeys(grads, 1.0))

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
        def stacked(values: Params) -> Params:
            return {name: value[None] for name, value in values.items()}

        tensors = {name: stacked(state["tensors"][name]) for name in grads}
        one: State = {"tensors": tensors, "shared": stacked(state["shared"])}
        theta = stacked(dict(self.named_parameters()))
        self._step_(theta, stacked(grads), one, stacked(params), rates)

    def _step_(
        self, theta: Params, grads: Params, state: State, params: Params, rates: dict[str, float]
    ) -> None:
        """The step of N networks in place."""
        if not grads:
            return
        network, decays = self.network(theta), self.decays(theta)
        old = [state["tensors"][name] for name in grads]
        told = clocks(decays, old, state["shared"]["num_steps"])
        for (name, grad), slots, clock in zip(grads.items(), old, told, strict=True):
            scaled = network
            if rates[name] != 1:
                scaled = network._replace(learning_rate=network.learning_rate * rates[name])
            following = step_into(
                *(scaled, decays, clock, grad, slots, params[name], slots, params[name]),
                compiled=self.compiled,
            )
            for key in following.keys() - {"momenta", "second"}:
                slots[key].copy_(following[key])

    def decays(self, theta: Params) -> Decays:
        """1 - beta of the momenta ``(..., 3)``, the second moment ``(...)``, the factors."""

        def changed(betas: tuple[float, ...], change: Tensor) -> Tensor:
            start = torch.tensor([math.log(1 - beta) for beta in betas], device=change.device)
            return torch.clamp(torch.exp(start + DECAY_SCALE * change), 1e-6, 1.0)

        return Decays(
            changed(MOMENTA, theta["momentum_decay"]),
            changed((SECOND,), theta["second_decay"][..., None])[..., 0],
            changed(MOMENTA, theta["factor_decay"]),
        )

    def network(self, theta: Params) -> Network:
        """The weights as the step uses them, with a leading axis where theta has one."""
        return Network(
            theta["inner"],
            theta["time"],
            theta["inner_bias"],
            theta["middle"],
            theta["middle_bias"],
            OUTPUT_SCALE * theta["outer"],
            OUTPUT_SCALE * theta["outer_bias"],
            RATE_SCALE * theta["rate"],
            self.learning_rate * torch.ones_like(theta["second_decay"]),
        )

    def _plain(
        self, theta: Params, grad: Tensor, old: Params, value: Tensor, num_steps: Tensor
    ) -> tuple[Tensor, Params]:
        """The step of one tensor with every input of the network written out, ``(28, n)``."""
        network, decays = self.network(theta), self.decays(theta)
        rows, columns = matrix_shape(grad.shape)
        grad = torch.clamp(grad.float(), -LARGEST_GRADIENT, LARGEST_GRADIENT)
        grad = grad.reshape(rows, columns)
        weight = value.float().reshape(rows, columns)
        step = old["step"] + 1
        momenta = old["momenta"].reshape(3, rows, columns)
        momenta = momenta + decays.momenta[:, None, None] * (grad - momenta)
        second = old["second"].reshape(rows, columns)
        second = second + decays.second * (grad * grad - second)
        new = {
            "step": step,
            "momenta": momenta.reshape(old["momenta"].shape),
            "second": second.reshape(old["second"].shape),
        }
        if rows > 1:
            change = decays.factors[:, None]
            new["row"] = row = old["row"] + change * ((grad * grad).mean(1) - old["row"])
            column = old["column"] + change * ((grad * grad).mean(0) - old["column"])
            new["column"] = column
        else:
            row, column = second.mean(1).expand(3, 1), second.expand(3, columns)
        inverse = torch.rsqrt(second + EPSILON)
        root = torch.sqrt(second)
        down, across = torch.rsqrt(row + EPSILON), torch.rsqrt(column + EPSILON)
        factor = (down * (row.mean(1, keepdim=True) + EPSILON).sqrt())[:, :, None]
        factor = factor * across[:, None, :]
        adam = momenta * inverse
        full = (3, rows, columns)
        inputs = torch.cat(
            [
                torch.stack([grad, weight, root, inverse]),
                *(momenta, adam, grad * factor, momenta * factor),
                *(torch.sqrt(row)[:, :, None].expand(full), down[:, :, None].expand(full)),
                *(torch.sqrt(column)[:, None].expand(full), across[:, None].expand(full)),
            ]
        )
        square = (inputs * inputs).mean((1, 2))
        corrected = corrections(decays, step, factored=rows > 1)
        inputs = inputs * input_scales(square, corrected)[:, None, None]
        time = time_features(step, num_steps)
        shift = network.time @ time + network.inner_bias
        hidden = torch.einsum("hf,frc->hrc", network.inner, inputs) + shift[:, None, None]
        hidden = torch.einsum("gh,hrc->grc", network.middle, torch.relu(hidden))
        hidden = torch.relu(hidden + network.middle_bias[:, None, None])
        out = torch.einsum("oh,hrc->orc", network.outer, hidden)
        out = out + network.outer_bias[:, None, None]
        nominal = adam[0] * corrected.second / corrected.momenta[0]
        direction = nominal * (1 + out[0]) + out[1]
        direction = torch.clamp(direction, -LARGEST_DIRECTION, LARGEST_DIRECTION)
        size = step_size(network, time, square, corrected, (rows, columns))
        return (-size * direction).reshape(value.shape), new
