"""A small learned optimizer: factored features, a tiny network for each parameter.

After Metz et al. (2022, "Practical tradeoffs between memory, compute, and performance in learned
optimizers"): the inputs are the gradient, the value, three momenta, a second moment and its
factored row and column averages at three decays. Here every input is linear in the gradient or
in its inverse (square roots of second moments), so that the scale of a loss does not matter and
nothing overflows; the network changes an Adam direction, so that an untrained one is nearly
Adam; and a linear head on what is known of a whole tensor sets the size of its step.
"""

from typing import Any

import torch
from torch import Tensor, nn

from nascence.optim.contract import Kernel, TensorWise
from nascence.optim.small.compiled import SOURCE
from nascence.optim.small.kernel import SmallKernel
from nascence.optim.small.network import (
    EPSILON,
    INPUTS,
    LARGEST_DIRECTION,
    LARGEST_GRADIENT,
    TENSOR_INPUTS,
    corrections,
    decays_of,
    input_scales,
    matrix_shape,
    network_of,
    step_size,
)
from nascence.optim.time_features import TIME_FEATURES, time_features
from nascence.params import Params


class Small(TensorWise):
    """The small learned optimizer, 16 bytes of state a parameter.

    Theta: ``inner`` ``(hidden, 28)``, ``time`` ``(hidden, 21)``, ``inner_bias`` ``(hidden,)``,
    ``middle`` ``(hidden, hidden)``, ``middle_bias``, ``outer`` ``(2, hidden)``, ``outer_bias``
    ``(2,)``: the network. ``rate`` ``(28,)``: the head. ``momentum_decay`` ``(3,)``,
    ``second_decay`` ``()``, ``factor_decay`` ``(3,)``: changes of ``log(1 - beta) / 5``.

    The step of a parameter with Adam direction n is
    ``-learning_rate exp(head) clip(n (1 + a) + d, ±8)`` with a and d from the network.

    Args:
        hidden: Units of both hidden layers.
        learning_rate: The size of a step where the head says 0.
        generator: Source of the first theta; without one it is always the same.

    Raises:
        ValueError: If ``hidden`` or ``learning_rate`` is not positive.
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
        """The keyword arguments that make another instance of the same form."""
        return {"hidden": self.hidden, "learning_rate": self.learning_rate}

    def _kernel(self) -> Kernel:
        return SmallKernel(self, learning_rate=self.learning_rate)

    def slots(self, shape: torch.Size) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the averages of a tensor."""
        rows, columns = matrix_shape(shape)
        factors = {"row": (3, rows), "column": (3, columns)} if rows > 1 else {}
        return {"momenta": (3, *shape), "second": tuple(shape), **factors}

    def rule(
        self, grad: Tensor, slots: Params, value: Tensor, num_steps: Tensor
    ) -> tuple[Tensor, Params]:
        """The step of one tensor, with all inputs of the network explicit, ``(28, n)``."""
        theta: Params = dict(self.named_parameters())
        network, decays = network_of(theta, self.learning_rate), decays_of(theta)
        rows, columns = matrix_shape(grad.shape)
        grad = torch.clamp(grad, -LARGEST_GRADIENT, LARGEST_GRADIENT).reshape(rows, columns)
        weight = value.reshape(rows, columns)
        momenta = slots["momenta"].reshape(3, rows, columns)
        momenta = momenta + decays.momenta[:, None, None] * (grad - momenta)
        second = slots["second"].reshape(rows, columns)
        second = second + decays.second * (grad * grad - second)
        new = {
            "momenta": momenta.reshape(slots["momenta"].shape),
            "second": second.reshape(value.shape),
        }
        if rows > 1:
            change = decays.factors[:, None]
            new["row"] = row = slots["row"] + change * ((grad * grad).mean(1) - slots["row"])
            column = slots["column"] + change * ((grad * grad).mean(0) - slots["column"])
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
        corrected = corrections(decays, slots["step"], factored=rows > 1)
        inputs = inputs * input_scales(square, corrected)[:, None, None]
        time = time_features(slots["step"], num_steps)
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
