"""Convolutional classifiers, with a fully connected head or one on the mean of the places."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from nascence.params import Params
from nascence.task import Draw
from nascence.tasks.classification import cross_entropy
from nascence.tasks.images import CLASSES, ImageProblem, batch_of
from nascence.tasks.initial import ACTIVATIONS, initial_weight
from nascence.tasks.multilayer import init_layers, layers, products
from nascence.tasks.numbered import NumberedFamily

KERNEL = 3


def convolution(inputs: Tensor, weight: Tensor, *, stride: int) -> Tensor:
    """``(B, H, W, inputs)`` with ``weight`` ``(outputs, inputs, 3, 3)`` and padding 1.

    As one matrix product over shifted copies: under vmap every network has a weight of its own,
    which is a grouped convolution, and that is slow on a processor.
    """
    height, width = inputs.shape[1:3]
    padded = functional.pad(inputs, (0, 0, 1, 1, 1, 1))
    shifted = [
        padded[:, down : down + height : stride, across : across + width : stride]
        for down in range(KERNEL)
        for across in range(KERNEL)
    ]
    matrix = weight.permute(2, 3, 1, 0).flatten(0, 2)
    return torch.cat(shifted, -1) @ matrix


@dataclass(frozen=True)
class Convolutional(ImageProblem):
    """Classification of images by 3x3 convolutions of these channels and strides.

    ``head="pool"`` has a linear layer on the mean over all places; "full" takes the places one by
    one, through a hidden layer of ``full`` units if that is not zero. Constants: those of
    `sample_images` and `sample_initialiser`.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    activation: str = "relu"
    head: Literal["pool", "full"] = "pool"
    full: int = 0
    batch_size: int = 16
    side: int = 8
    grey: bool = True

    @property
    def sides(self) -> tuple[int, ...]:
        """Height and width from the image to the last convolution."""
        found = [self.side]
        for stride in self.strides:
            found.append(-(-found[-1] // stride))
        return tuple(found)

    @property
    def head_widths(self) -> tuple[int, ...]:
        """Units of the layers after the convolutions."""
        places = 1 if self.head == "pool" else self.sides[-1] ** 2
        inner = (self.full,) if self.full else ()
        return (self.channels[-1] * places, *inner, CLASSES)

    @property
    def all_channels(self) -> tuple[int, ...]:
        """Channels from the image on."""
        return (1 if self.grey else 3, *self.channels)

    @property
    def cost(self) -> int:
        """Multiply-adds of a step."""
        convolutions = sum(
            KERNEL**2 * a * b * side**2
            for (a, b), side in zip(pairwise(self.all_channels), self.sides[1:], strict=True)
        )
        return 3 * self.batch_size * (convolutions + products(self.head_widths))

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        params = {}
        for layer, (inputs, outputs) in enumerate(pairwise(self.all_channels)):
            params[f"convolution{layer}.weight"] = initial_weight(
                constants, (outputs, inputs, KERNEL, KERNEL), generator=generator
            )
            params[f"convolution{layer}.bias"] = torch.zeros(outputs)
        return params | init_layers(constants, self.head_widths, prefix="head", generator=generator)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        flat, labels = batch_of(constants, draw[0], side=self.side, grey=self.grey)
        images = flat.unflatten(-1, (-1, self.side, self.side)).permute(0, 2, 3, 1)
        for layer, stride in enumerate(self.strides):
            weight = params[f"convolution{layer}.weight"]
            images = convolution(images, weight, stride=stride)
            images = ACTIVATIONS[self.activation](images + params[f"convolution{layer}.bias"])
        features = images.mean((1, 2)) if self.head == "pool" else images.flatten(1)
        logits = layers(
            params,
            features,
            activation=self.activation,
            count=len(self.head_widths) - 1,
            prefix="head",
        )
        return cross_entropy(logits, labels)


def convolutional() -> NumberedFamily:
    """Small convolutional classifiers of images of 8x8."""
    problems = (
        Convolutional((8, 16), (2, 2), "relu", "pool", batch_size=32),
        Convolutional((8, 8), (2, 2), "relu", "full", batch_size=32),
        Convolutional((8, 8, 8), (2, 1, 2), "tanh", "pool"),
        Convolutional((4, 8), (1, 2), "relu", "full"),
        Convolutional((8, 16), (2, 2), "elu", "pool", grey=False),
        Convolutional((8,), (2,), "relu", "full", full=16),
        Convolutional((8, 8), (2, 1), "swish", "pool"),
        Convolutional((6, 12), (2, 2), "tanh", "full", full=16, batch_size=32),
    )
    return NumberedFamily("convolutional", problems, 640)


def wide_convolutional() -> NumberedFamily:
    """Convolutional classifiers of coloured images of 16x16, up to 64 channels."""
    problems = (
        Convolutional((16, 32, 64), (2, 2, 2), "relu", "pool", 0, 64, 16, grey=False),
        Convolutional((16, 32), (2, 2), "relu", "full", 64, 64, 16, grey=False),
        Convolutional((32, 32, 32), (2, 1, 2), "tanh", "pool", 0, 32, 16, grey=False),
    )
    return NumberedFamily("convolutional-wide", problems, 90)
