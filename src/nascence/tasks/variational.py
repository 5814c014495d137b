"""Variational autoencoders of images."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nascence.params import Params
from nascence.task import Draw, TaskSplit
from nascence.tasks.images import ImageProblem, batch_of
from nascence.tasks.multilayer import init_layers, layers, products
from nascence.tasks.numbered import NumberedFamily
from nascence.tasks.ranges import log_uniform

# Log variances of the code are bounded smoothly, so that no start overflows.
LARGEST_LOG_VARIANCE = 6.0


@dataclass(frozen=True)
class VariationalAutoencoder(ImageProblem):
    """Minus the evidence lower bound of images, over the pixels (Kingma and Welling 2014, eq. 10).

    The code of ``latent`` units has a normal posterior with one sample for each image; the
    likelihood of pixels is normal with deviation ``deviation``, or Bernoulli of their sigmoid.
    Constants: ``deviation`` ``()``, 0.1 to 1; those of `sample_images` and `sample_initialiser`.
    """

    hidden: tuple[int, ...]
    latent: int
    activation: str = "relu"
    batch_size: int = 32
    side: int = 8
    likelihood: str = "normal"

    @property
    def encoder_widths(self) -> tuple[int, ...]:
        """Units from the pixels to means and log variances."""
        return (self.side**2, *self.hidden, 2 * self.latent)

    @property
    def decoder_widths(self) -> tuple[int, ...]:
        """Units from the code to the pixels."""
        return (self.latent, *reversed(self.hidden), self.side**2)

    @property
    def cost(self) -> int:
        """Multiply-adds of a step."""
        both = products(self.encoder_widths) + products(self.decoder_widths)
        return 3 * self.batch_size * both

    def sample(self, *, generator: torch.Generator) -> Params:
        """Draw the constants of a random task."""
        deviation = torch.tensor(log_uniform(0.1, 1.0, generator=generator))
        return {"deviation": deviation} | super().sample(generator=generator)

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        encoder = init_layers(constants, self.encoder_widths, prefix="encoder", generator=generator)
        return encoder | init_layers(
            constants, self.decoder_widths, prefix="decoder", generator=generator
        )

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """Draw the random part of ``count`` batches, ``(count, ...)`` each."""
        rows = super().draw(count, split, generator=generator)
        return *rows, torch.randn(count, self.batch_size, self.latent, generator=generator)

    def bound(self, constants: Params, params: Params, inputs: Tensor, normal: Tensor) -> Tensor:
        """The evidence lower bound ``(B,)`` of pixels ``(B, P)``, with noise ``(B, latent)``."""
        count = len(self.hidden) + 1
        encoded = layers(params, inputs, activation=self.activation, count=count, prefix="encoder")
        mean, raw = encoded.chunk(2, -1)
        log_variance = LARGEST_LOG_VARIANCE * torch.tanh(raw / LARGEST_LOG_VARIANCE)
        code = mean + torch.exp(log_variance / 2) * normal
        decoded = layers(params, code, activation=self.activation, count=count, prefix="decoder")
        if self.likelihood == "bernoulli":
            likelihood = -functional.binary_cross_entropy_with_logits(
                decoded, torch.sigmoid(inputs), reduction="none"
            )
        else:
            variance = constants["deviation"] ** 2
            squares = (decoded - inputs).square() / variance
            likelihood = -0.5 * (squares + torch.log(2 * math.pi * variance))
        divergence = 0.5 * (mean.square() + torch.exp(log_variance) - 1 - log_variance)
        return likelihood.sum(-1) - divergence.sum(-1)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        inputs, _ = batch_of(constants, draw[0], side=self.side)
        return -self.bound(constants, params, inputs, draw[1]).mean() / self.side**2


def variational() -> NumberedFamily:
    """Variational autoencoders with codes of 2 to 8 units."""
    problems = (
        VariationalAutoencoder((16,), 4, "tanh"),
        VariationalAutoencoder((16,), 8, "relu", 16, likelihood="bernoulli"),
        VariationalAutoencoder((32,), 4, "relu", 32, side=4),
        VariationalAutoencoder((16, 16), 2, "elu", 64, side=4),
        VariationalAutoencoder((24,), 4, "swish", 16),
        VariationalAutoencoder((), 4, batch_size=32),
    )
    return NumberedFamily("variational", problems, 600)


def wide_variational() -> NumberedFamily:
    """Variational autoencoders of the larger published sizes."""
    problems = (
        VariationalAutoencoder((128, 64), 16, "relu", 64, side=16),
        VariationalAutoencoder((128,), 32, "tanh", 128, side=16, likelihood="bernoulli"),
    )
    return NumberedFamily("variational-wide", problems, 40)
