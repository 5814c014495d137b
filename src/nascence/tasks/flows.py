"""Normalising flows: masked autoregressive ones and affine couplings, trained as densities."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from nascence.params import Params
from nascence.task import Draw, TaskSplit
from nascence.tasks.densities import (
    DENSITIES,
    Density,
    draw_points,
    points,
    sample_density,
)
from nascence.tasks.images import batch_of, draw_rows, sample_images
from nascence.tasks.initial import sample_initialiser
from nascence.tasks.multilayer import init_layers, layers, products
from nascence.tasks.numbered import NumberedFamily, NumberedProblem

# Log scales are bounded smoothly, so that no start, however wild, overflows.
LARGEST_LOG_SCALE = 3.0


@lru_cache(maxsize=64)
def masks(size: int, hidden: tuple[int, ...], device: str = "cpu") -> tuple[Tensor, ...]:
    """Masks ``(inputs, outputs)`` of an autoregressive network (Germain et al. 2015, MADE, eq. 8).

    The outputs are ``size`` shifts and ``size`` log scales; those of dimension i depend on the
    dimensions before i alone.
    """
    degrees = [torch.arange(1, size + 1)]
    degrees += [torch.arange(width) % max(size - 1, 1) + 1 for width in hidden]
    found = [(after >= before[:, None]).float() for before, after in pairwise(degrees)]
    last = (degrees[0] > degrees[-1][:, None]).float()
    return tuple(mask.to(device) for mask in (*found, torch.cat([last, last], 1)))


def bounded(raw: Tensor) -> Tensor:
    """Log scales, of the same shape, between -3 and 3, near 0 the numbers themselves."""
    return LARGEST_LOG_SCALE * torch.tanh(raw / LARGEST_LOG_SCALE)


def autoregressive(
    params: Params, inputs: Tensor, *, hidden: tuple[int, ...], activation: str, prefix: str
) -> tuple[Tensor, Tensor]:
    """Noise ``(B, D)`` of data ``(B, D)`` and the log determinants ``(B,)``.

    ``z_i = (x_i - shift_i(x_<i)) exp(-a_i(x_<i))`` (Papamakarios et al. 2017, eq. 3).
    """
    masked = {
        f"{prefix}{layer}.weight": params[f"{prefix}{layer}.weight"] * mask
        for layer, mask in enumerate(masks(inputs.shape[-1], hidden, str(inputs.device)))
    }
    count = len(hidden) + 1
    outputs = layers(params | masked, inputs, activation=activation, count=count, prefix=prefix)
    shift, raw = outputs.chunk(2, -1)
    scale = bounded(raw)
    return (inputs - shift) * torch.exp(-scale), -scale.sum(-1)


def coupling(
    params: Params, inputs: Tensor, *, hidden: tuple[int, ...], activation: str, prefix: str
) -> tuple[Tensor, Tensor]:
    """Noise ``(B, D)`` of data and log determinants ``(B,)`` of an affine coupling.

    The first half stays and moves the second (Dinh et al. 2017, eqs. 4 and 6).
    """
    still = inputs.shape[-1] // 2
    first, second = inputs[:, :still], inputs[:, still:]
    count = len(hidden) + 1
    outputs = layers(params, first, activation=activation, count=count, prefix=prefix)
    shift, raw = outputs.chunk(2, -1)
    scale = bounded(raw)
    moved = (second - shift) * torch.exp(-scale)
    return torch.cat([first, moved], -1), -scale.sum(-1)


@dataclass(frozen=True)
class Flow(NumberedProblem):
    """Minus log likelihood, over the dimensions, of a flow of several bijectors.

    The order of the dimensions is reversed between bijectors, and the noise is standard normal.
    ``data`` is one of the densities of the plane, or "images" of ``side`` x ``side`` pixels.
    Constants: those of `sample_density` or `sample_images`, and of `sample_initialiser`.
    """

    form: str
    bijectors: int
    hidden: tuple[int, ...]
    data: Density | str = "mixture"
    activation: str = "relu"
    batch_size: int = 32
    side: int = 4

    @property
    def size(self) -> int:
        """Dimensions of the data."""
        return 2 if self.data in DENSITIES else self.side**2

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of the network of a bijector."""
        if self.form == "autoregressive":
            return (self.size, *self.hidden, 2 * self.size)
        still = self.size // 2
        return (still, *self.hidden, 2 * (self.size - still))

    @property
    def cost(self) -> int:
        """Multiply-adds of a step."""
        stretch = 4 if self.data in DENSITIES else 0
        return 3 * self.batch_size * (self.bijectors * products(self.widths) + stretch)

    def sample(self, *, generator: torch.Generator) -> Params:
        """Draw the constants of a random task."""
        drawn = sample_density if self.data in DENSITIES else sample_images
        return drawn(generator=generator) | sample_initialiser(generator=generator)

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        params: Params = {}
        for number in range(self.bijectors):
            params |= init_layers(
                constants, self.widths, prefix=f"bijector{number}.", generator=generator
            )
        return params

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """Draw the random part of ``count`` batches, ``(count, ...)`` each."""
        if self.data in DENSITIES:
            return draw_points(count, self.batch_size, generator=generator)
        return draw_rows(count, self.batch_size, split, generator=generator)

    def inputs(self, constants: Params, draw: Draw) -> Tensor:
        """The data ``(B, D)`` of a batch."""
        if self.data == "images":
            return batch_of(constants, draw[0], side=self.side)[0]
        return points(constants, self.data, draw[0], draw[1])  # type: ignore[arg-type]

    def noise(self, params: Params, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Noise ``(B, D)`` of data ``(B, D)``, and the log determinants ``(B,)``."""
        bijector = autoregressive if self.form == "autoregressive" else coupling
        total = inputs.new_zeros(len(inputs))
        for number in range(self.bijectors):
            inputs, determinants = bijector(
                params,
                inputs.flip(-1) if number else inputs,
                hidden=self.hidden,
                activation=self.activation,
                prefix=f"bijector{number}.",
            )
            total = total + determinants
        return inputs, total

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        noise, determinants = self.noise(params, self.inputs(constants, draw))
        normal = 0.5 * (noise.square() + math.log(2 * math.pi)).sum(-1)
        return (normal - determinants).mean() / self.size


def autoregressive_flow() -> NumberedFamily:
    """Masked autoregressive flows of one to four bijectors, hidden layers of 16 to 32 units."""
    form = "autoregressive"
    problems = (
        Flow(form, 1, (16,), "mixture", "tanh", 64),
        Flow(form, 2, (16,), "ring", "relu"),
        Flow(form, 1, (32,), "images", "relu"),
        Flow(form, 2, (16, 16), "moons", "tanh"),
        Flow(form, 2, (16,), "images", "tanh"),
        Flow(form, 4, (16,), "spiral", "relu", 16),
        Flow(form, 3, (16,), "mixture", "elu"),
        Flow(form, 1, (16, 16), "images", "swish"),
    )
    return NumberedFamily("autoregressive-flow", problems, 640)


def coupling_flow() -> NumberedFamily:
    """Affine couplings (real NVP) of two to four bijectors."""
    form = "coupling"
    problems = (
        Flow(form, 2, (16,), "mixture", "tanh", 64),
        Flow(form, 4, (16,), "ring", "relu"),
        Flow(form, 2, (32,), "images", "relu"),
        Flow(form, 2, (16, 16), "moons", "tanh"),
        Flow(form, 3, (16,), "images", "elu"),
        Flow(form, 4, (16,), "spiral", "relu"),
    )
    return NumberedFamily("coupling-flow", problems, 600)


def wide_flow() -> NumberedFamily:
    """Flows of the larger published sizes: up to four bijectors of two layers of 128 units."""
    problems = (
        Flow("autoregressive", 4, (128, 128), "spiral", "tanh", 128),
        Flow("autoregressive", 2, (64, 64), "images", "relu", 64, side=8),
        Flow("coupling", 4, (128, 128), "moons", "relu", 128),
        Flow("coupling", 4, (64,), "images", "tanh", 64, side=8),
    )
    return NumberedFamily("flow-wide", problems, 80)
