"""One perceptron for each parameter, fast: the step shared by two architectures.

What all parameters of a tensor have in common enters as the bias of the first layer, the
normalisation of an input over the tensor as a factor of its weights, and the inputs are computed
in pieces that stay in the cache. An output that is only averaged over the tensor needs the mean
of the last hidden layer and no product for each parameter.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nascence.optim.contract import Kernel, LearnedOptimizer

PIECE = 8192
LARGEST_D = 1e3
LARGEST_A = 5e3
NORM_EPSILON = 1e-5
LARGEST_GRADIENT = 1e8
# Decays of the Adam whose step may be added (Kingma & Ba 2015).
FIRST, SECOND = 0.9, 0.999


class PerceptronWeights(NamedTuple):
    """Weights; the rows of ``first`` beyond the inputs of a parameter are for shared inputs.

    ``first`` ``(inputs, hidden)``, ``second`` ``(hidden, hidden)``, ``last`` ``(hidden, outputs)``
    and the three biases. Outputs 0 and 1 are direction d and magnitude a of a step.
    """

    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor
    last: Tensor
    last_bias: Tensor


def random_perceptron(
    inputs: int,
    hidden: int,
    outputs: int,
    *,
    nominal: float | None,
    generator: torch.Generator | None,
) -> nn.ParameterDict:
    """Return initial `PerceptronWeights` by name.

    With a nominal step the last layer starts a hundredth as large. Without a generator they are
    always the same.

    Raises:
        ValueError: If ``hidden`` or ``nominal`` is not positive.
    """
    if hidden < 1 or (nominal is not None and not nominal > 0):
        raise ValueError(f"hidden={hidden}, nominal={nominal}; both must be positive")
    if generator is None:
        generator = torch.Generator().manual_seed(0)

    def normal(rows: int, columns: int, factor: float = 1.0) -> Tensor:
        return torch.randn(rows, columns, generator=generator) * (factor * rows**-0.5)

    return nn.ParameterDict(
        {
            "first": normal(inputs, hidden),
            "first_bias": torch.zeros(hidden),
            "second": normal(hidden, hidden),
            "second_bias": torch.zeros(hidden),
            "last": normal(hidden, outputs, 1.0 if nominal is None else 0.01),
            "last_bias": torch.zeros(outputs),
        }
    )


def averaged(old: Tensor, new: Tensor, decays: tuple[float, ...]) -> Tensor:
    """Return ``decay old + (1 - decay) new`` of old ``(decays, ...)`` and new ``(...)``."""
    change = torch.tensor([1 - decay for decay in decays], device=new.device)
    return old + change.reshape((-1,) + (1,) * new.dim()) * (new - old)


def adam_step(first: Tensor, second: Tensor, step: Tensor, learning_rate: float) -> Tensor:
    """Return Adam's step (Kingma & Ba 2015) from its averages at 0.9 and 0.999, of one shape."""
    first = first / (1 - FIRST**step)
    return -learning_rate * first / ((second / (1 - SECOND**step)).sqrt() + 1e-8)


def forward(network: PerceptronWeights, inputs: Tensor) -> Tensor:
    """Outputs ``(..., outputs)`` of inputs ``(..., inputs)``, computed step by step."""
    hidden = torch.relu(inputs @ network.first + network.first_bias)
    hidden = torch.relu(hidden @ network.second + network.second_bias)
    return hidden @ network.last + network.last_bias


def normalised(inputs: Tensor) -> Tensor:
    """Inputs ``(n, inputs)`` of the n parameters of a tensor, each over its root mean square."""
    square = (inputs * inputs).mean(0) if len(inputs) else inputs.new_zeros(inputs.shape[1:])
    return inputs * torch.rsqrt(square + NORM_EPSILON)


def learned_step(out: Tensor, scale: float) -> Tensor:
    """``-scale d exp(scale a)`` of outputs ``(..., 2)`` or more (Metz et al. 2019): ``(...)``.

    The first is d, clipped at 1000 in size, the second a, clipped at 5000.
    """
    direction = out[..., 0].clamp(-LARGEST_D, LARGEST_D)
    return -scale * direction * torch.exp(scale * out[..., 1].clamp(-LARGEST_A, LARGEST_A))


def room_for(planes: int, network: PerceptronWeights, sizes: Iterable[int]) -> Tensor:
    """Room, a flat ``(n,)``, for the work on tensors of these sizes, one after the other."""
    width = min(PIECE, max(sizes, default=0))
    hidden, second = len(network.second), network.second
    return second.new_empty((planes + 2 * hidden + 4) * width, dtype=torch.float32)


class PerceptronKernel(Kernel):
    """A kernel that reads the weights of its optimizer's perceptron where they are."""

    def __init__(
        self, optimizer: LearnedOptimizer, network: nn.ParameterDict, *, nominal: float | None
    ) -> None:
        super().__init__(optimizer)
        self.network, self.nominal = PerceptronWeights(**dict(network.items())), nominal


class Pieces(ABC):
    """The n parameters of one tensor in pieces, whose averages and values are changed.

    Args:
        grad: Gradient, of any shape and real dtype.
        value: The tensor, contiguous float32.
        momenta: Averages of the gradient, ``(decays, ...)``.
        seconds: Averages of its square, ``(second decays, ...)``; None if there are none.
        step: Steps taken, this one included; ``()``.
        limit: Gradients are clipped to its magnitude.
        room: Of `room_for`.
    """

    planes: ClassVar[int]
    decays: ClassVar[tuple[float, ...]]
    second_decays: ClassVar[tuple[float, ...]]

    def __init__(
        self,
        grad: Tensor,
        value: Tensor,
        momenta: Tensor,
        seconds: Tensor | None,
        *,
        step: Tensor,
        limit: float,
        room: Tensor,
    ) -> None:
        self.grad, self.value = grad.reshape(-1), value.view(-1)
        self.size, self.room, self.step, self.limit = value.numel(), room, step, limit
        self.averages = [(momenta.view(len(self.decays), -1), self._change(self.decays))]
        if seconds is not None:
            flat = seconds.view(len(self.second_decays), -1)
            self.averages.append((flat, self._change(self.second_decays)))
        size = self.size
        self.pieces = [slice(first, min(first + PIECE, size)) for first in range(0, size, PIECE)]

    def _change(self, decays: tuple[float, ...]) -> Tensor:
        return torch.tensor([1 - decay for decay in decays], device=self.value.device)[:, None]

    @abstractmethod
    def fill(self, piece: slice, room: Tensor) -> list[Tensor]:
        """Write inputs of a piece into ``room`` ``(planes, width)``.

        Returns those that lie elsewhere, ``(., width)`` each. In this order they are the inputs of
        a parameter.
        """

    def _inputs(self, piece: slice) -> list[Tensor]:
        width = piece.stop - piece.start
        mine = self.room[: self.planes * width].view(self.planes, width)
        return [mine, *self.fill(piece, mine)]

    def _move(self, piece: slice) -> None:
        """Update the averages of a piece."""
        new = self.grad[piece].float().clamp(-self.limit, self.limit)
        for (old, change), part in zip(self.averages, (new, new * new), strict=False):
            here = old[:, piece]
            torch.lerp(here, part.expand_as(here), change.expand_as(here), out=here)

    def sums(self) -> tuple[Tensor, Tensor]:
        """Update the averages; return sums and sums of squares ``(inputs,)`` over the tensor."""
        sums, norms = [], []
        for piece in self.pieces:
            self._move(piece)
            parts = self._inputs(piece)
            sums.append(torch.cat([part.sum(1) for part in parts]))
            norms.append(torch.cat([torch.linalg.vector_norm(part, dim=1) for part in parts]))
        return torch.stack(sums).sum(0), torch.stack(norms).square().sum(0)

    def step_(
        self,
        network: PerceptronWeights,
        shared: Tensor,
        squares: Tensor,
        *,
        scale: float,
        rate: float,
        nominal: float | None,
    ) -> Tensor:
        """Add ``rate`` times the step to the value; returns the mean outputs ``(outputs,)``.

        Args:
            network: The perceptron.
            shared: Further inputs, equal for all parameters.
            squares: Sums of squares of the other inputs.
            scale: Of direction and magnitude; see `learned_step`.
            rate: Factor of the whole step.
            nominal: Learning rate of an Adam whose step is added to the learned one.
        """
        norm = torch.rsqrt(squares / self.size + NORM_EPSILON)
        own = (network.first[: len(norm)] * norm[:, None]).t().contiguous()
        shift = (shared @ network.first[len(norm) :] + network.first_bias)[:, None]
        second, last = network.second.t().contiguous(), network.last[:, :2].t().contiguous()
        last_bias, ones = network.last_bias[:2, None], torch.ones(PIECE, device=squares.device)
        units = len(second)
        total = torch.zeros(units, device=squares.device)
        count = 0.0 if nominal is None else self.step.item()
        for piece in self.pieces:
            width = piece.stop - piece.start
            layers = self.room[self.planes * width :][: (2 * units + 4) * width]
            hidden, middle, out, spare = layers.view(-1, width).split([units, units, 2, 2])
            first = 0
            for part in self._inputs(piece):
                weights = own[:, first : first + len(part)]
                torch.addmm(hidden if first else shift, weights, part, out=hidden)
                first += len(part)
            torch.addmm(network.second_bias[:, None], second, hidden.relu_(), out=middle)
            total.addmv_(middle.relu_(), ones[:width])
            torch.addmm(last_bias, last, middle, out=out)
            magnitude = out[1].clamp_(-LARGEST_A, LARGEST_A).mul_(scale).exp_()
            step = out[0].clamp_(-LARGEST_D, LARGEST_D).mul_(magnitude).mul_(-scale)
            if nominal is not None:
                step.add_(self._adam(piece, count, nominal, spare))
            self.value[piece].add_(step, alpha=rate)
        return (total / self.size) @ network.last + network.last_bias

    def _adam(self, piece: slice, count: float, learning_rate: float, room: Tensor) -> Tensor:
        """`adam_step` of a piece, written into ``room`` ``(2, width)``."""
        first = self.averages[0][0][self.decays.index(FIRST), piece]
        second = self.averages[1][0][self.second_decays.index(SECOND), piece]
        root = torch.mul(second, 1 / (1 - SECOND**count), out=room[0]).sqrt_().add_(1e-8)
        return torch.div(first, root, out=room[1]).mul_(-learning_rate / (1 - FIRST**count))
