"""The hierarchical learned optimizer of Metz et al. (2020, arXiv:2009.11243), appendix C.

An LSTM for each tensor, fed with statistics of the tensor, the training and validation loss, and
the mean of what the LSTMs of all tensors said in the step before; and a perceptron for each
parameter, fed with its averages and with what the LSTM of its tensor says.
"""

from typing import Any

import torch
from torch import Tensor, nn

from nascence.optim.contract import Kernel, LearnedOptimizer, State, horizon
from nascence.optim.hierarchical.compiled import SOURCE
from nascence.optim.hierarchical.controller import (
    FROM_PERCEPTRON,
    LSTM,
    TO_ALL,
    TO_PERCEPTRON,
    begin,
    control,
)
from nascence.optim.hierarchical.inputs import (
    DECAYS,
    INPUTS,
    SCALE,
    STATISTICS,
    means_of,
    own_inputs,
    shared_inputs,
    statistics_of,
)
from nascence.optim.hierarchical.kernel import HierarchicalKernel
from nascence.optim.hierarchical.losses import empty_tracker, loss_inputs
from nascence.optim.perceptron import (
    FIRST,
    SECOND,
    PerceptronWeights,
    adam_step,
    averaged,
    forward,
    learned_step,
    normalised,
    random_perceptron,
)
from nascence.params import Params


class Hierarchical(LearnedOptimizer):
    """The hierarchical optimizer, 40 bytes of state a parameter and 576 a tensor.

    The step is ``-0.001 d exp(0.001 a)`` from outputs d and a of the perceptron, plus, if
    ``nominal`` is a learning rate, that of Adam. Gradients are clipped elementwise at ten times
    a running root mean square. Theta: `PerceptronWeights` with 54 inputs and 18 outputs; the LSTM
    with 52 inputs and its two linear readings; the learned initial recurrent values.

    Args:
        hidden: Units of both hidden layers of the perceptron.
        nominal: Learning rate of the Adam whose step is added; None for the form of the paper.
        generator: Source of the first theta; without one it is always the same.

    Raises:
        ValueError: If ``hidden`` or ``nominal`` is not positive.
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
        self.network = random_perceptron(
            *(INPUTS, hidden, 2 + FROM_PERCEPTRON), nominal=nominal, generator=generator
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
        """The keyword arguments that make another instance of the same form."""
        return {"hidden": self.hidden, "nominal": self.nominal}

    @property
    def uses_loss(self) -> bool:
        """Whether a loss given to `update` changes anything: it does."""
        return True

    def _kernel(self) -> Kernel:
        return HierarchicalKernel(self, self.network, nominal=self.nominal)

    def init(self, params: Params, *, num_steps: Tensor | float | None = None) -> State:
        """Return the state for parameters of any shape; see `LearnedOptimizer.init`."""
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
        """Return updates, of the shapes of ``grads``, and state; see `LearnedOptimizer.update`."""
        shared, bound = begin(grads, state["shared"], loss, valid_loss)
        losses = loss_inputs(shared, loss)
        clipped = {name: torch.clamp(grad.float(), -bound, bound) for name, grad in grads.items()}
        means, slots = [], {}
        for name, grad in clipped.items():
            old = state["tensors"][name]
            slots[name] = {
                **old,
                "step": old["step"] + 1,
                "momenta": averaged(old["momenta"], grad, DECAYS),
                "seconds": averaged(old["seconds"], grad * grad, DECAYS),
            }
            means.append(means_of(grad, params[name].float(), slots[name]))
        statistics = [
            statistics_of(mean, grad.shape, losses)
            for mean, grad in zip(means, clipped.values(), strict=True)
        ]
        theta: Params = dict(self.named_parameters())
        hidden, cell, said, shared["from_all"] = control(
            theta, statistics, list(slots.values()), state["shared"]["from_all"]
        )
        updates, tensors = {}, dict(state["tensors"])
        for index, (name, grad) in enumerate(clipped.items()):
            told = shared_inputs(slots[name]["step"], len(grads), means[index], said[index], grad)
            updates[name], out = self._step(grad, params[name], slots[name], told)
            following = {"hidden": hidden[index], "cell": cell[index], "from_perceptron": out}
            tensors[name] = {**slots[name], **following}
        return updates, {"tensors": tensors, "shared": shared}

    def _step(
        self, grad: Tensor, value: Tensor, slots: Params, told: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The step of one tensor with every input of the perceptron written out, ``(n, 54)``.

        Returns also what the perceptrons say to the LSTM on average, ``(16,)``.
        """
        flat = normalised(own_inputs(grad, value.float(), slots))
        flat = torch.cat([flat, told.expand(len(flat), len(told))], 1)
        out = forward(PerceptronWeights(**dict(self.network.items())), flat)
        step = learned_step(out, SCALE).reshape(grad.shape)
        if self.nominal is not None:
            first = slots["momenta"][DECAYS.index(FIRST)]
            second = slots["seconds"][DECAYS.index(SECOND)]
            step = step + adam_step(first, second, slots["step"], self.nominal)
        return step, out[:, 2:].mean(0) if len(out) else self.first_from_perceptron
