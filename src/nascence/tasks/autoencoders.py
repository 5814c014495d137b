"""Autoencoders of images."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nascence.params import Params
from nascence.task import Draw
from nascence.tasks.images import batch_of
from nascence.tasks.multilayer import LayeredProblem, layers
from nascence.tasks.numbered import NumberedFamily


@dataclass(frozen=True)
class Autoencoder(LayeredProblem):
    """Pixels through layers of these widths and back to the pixels.

    The error is the mean of squares, or with ``likelihood="bernoulli"`` the cross-entropy with
    the sigmoid of the pixels. Constants: those of `sample_images` and `sample_initialiser`.
    """

    hidden: tuple[int, ...]
    activation: str = "relu"
    batch_size: int = 32
    side: int = 8
    likelihood: str = "normal"

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of all layers, from the pixels to the pixels."""
        return (self.side**2, *self.hidden, self.side**2)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        inputs, _ = batch_of(constants, draw[0], side=self.side)
        count = len(self.hidden) + 1
        outputs = layers(params, inputs, activation=self.activation, count=count)
        if self.likelihood == "bernoulli":
            return functional.binary_cross_entropy_with_logits(outputs, torch.sigmoid(inputs))
        return (outputs - inputs).square().mean()


def autoencoder() -> NumberedFamily:
    """Autoencoders with a code of 4 to 24 units."""
    problems = (
        Autoencoder((16,), "tanh"),
        Autoencoder((16,), "relu"),
        Autoencoder((24,), "cos"),
        Autoencoder((32, 8, 32), "relu", 16),
        Autoencoder((16, 4, 16), "tanh"),
        Autoencoder((24,), "relu", likelihood="bernoulli"),
        Autoencoder((16, 8, 16), "elu", 64, side=4),
        Autoencoder((32, 8, 32), "swish", 64, side=4, likelihood="bernoulli"),
    )
    return NumberedFamily("autoencoder", problems, 800)


def wide_autoencoder() -> NumberedFamily:
    """Autoencoders of images of 16x16 with layers of up to 128 units."""
    problems = (
        Autoencoder((128, 32, 128), "relu", 64, side=16),
        Autoencoder((64, 64, 16, 64, 64), "tanh", 128, side=16),
    )
    return NumberedFamily("autoencoder-wide", problems, 80)
