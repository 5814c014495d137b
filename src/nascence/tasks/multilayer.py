"""Multilayer perceptrons: classifiers of any depth, of which softmax regression has depth zero."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from nascence.params import Params
from nascence.task import Draw
from nascence.tasks.classification import cross_entropy
from nascence.tasks.images import CLASSES, ImageProblem, batch_of
from nascence.tasks.initial import ACTIVATIONS, initial_weight
from nascence.tasks.numbered import NumberedFamily


def init_layers(
    constants: Params, widths: tuple[int, ...], *, prefix: str = "", generator: torch.Generator
) -> Params:
    """Weights ``(inputs, outputs)`` and zero biases of layers between the ``widths``."""
    params = {}
    for layer, (inputs, outputs) in enumerate(pairwise(widths)):
        params[f"{prefix}{layer}.weight"] = initial_weight(
            constants, (inputs, outputs), generator=generator
        )
        params[f"{prefix}{layer}.bias"] = torch.zeros(outputs)
    return params


def layers(
    params: Params, inputs: Tensor, *, activation: str, count: int, prefix: str = ""
) -> Tensor:
    """``(B, inputs)`` through ``count`` layers, with the activation between them."""
    for layer in range(count):
        if layer:
            inputs = ACTIVATIONS[activation](inputs)
        inputs = inputs @ params[f"{prefix}{layer}.weight"] + params[f"{prefix}{layer}.bias"]
    return inputs


def products(widths: tuple[int, ...]) -> int:
    """Multiply-adds of layers between the ``widths`` for one input."""
    return sum(a * b for a, b in pairwise(widths))


class LayeredProblem(ImageProblem):
    """A problem on images whose parameters are those of `layers` between its widths."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of all layers, from the first to the last."""
        raise NotImplementedError

    @property
    def cost(self) -> int:
        """Multiply-adds of a step."""
        return 3 * self.batch_size * products(self.widths)

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        return init_layers(constants, self.widths, generator=generator)


@dataclass(frozen=True)
class Multilayer(LayeredProblem):
    """Classification of images by a perceptron with hidden layers of these widths.

    Constants: those of `sample_images` and `sample_initialiser`.
    """

    hidden: tuple[int, ...]
    activation: str = "relu"
    batch_size: int = 64
    side: int = 8
    grey: bool = True

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of all layers, from the pixels to the classes."""
        return (self.side**2 * (1 if self.grey else 3), *self.hidden, CLASSES)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        inputs, labels = batch_of(constants, draw[0], side=self.side, grey=self.grey)
        count = len(self.hidden) + 1
        logits = layers(params, inputs, activation=self.activation, count=count)
        return cross_entropy(logits, labels)


def multilayer() -> NumberedFamily:
    """Perceptrons of one to six hidden layers, the activations in the shares of TaskSet."""
    problems = (
        Multilayer((32,), "relu", 64),
        Multilayer((32,), "tanh", 32),
        Multilayer((16,), "cos", 128),
        Multilayer((16, 16), "relu", 64),
        Multilayer((32, 16), "elu", 32),
        Multilayer((64,), "relu", 32),
        Multilayer((16, 16), "tanh", 64, side=4, grey=False),
        Multilayer((16, 16), "sigmoid", 32),
        Multilayer((16, 16, 16), "relu", 32),
        Multilayer((48,), "swish", 32),
        Multilayer((32, 32), "relu", 32, side=4, grey=False),
        Multilayer((24, 24, 24), "tanh", 32),
        Multilayer((16,) * 4, "leaky_relu_4", 32),
        Multilayer((16,) * 6, "relu", 16),
        Multilayer((32,), "leaky_relu_2", 16),
        Multilayer((24, 16), "leaky_relu_1", 64),
    )
    return NumberedFamily("mlp", problems, 1200)


def softmax() -> NumberedFamily:
    """Softmax regression on pixels, a convex problem."""
    problems = (
        Multilayer((), batch_size=64),
        Multilayer((), batch_size=16),
        Multilayer((), batch_size=256),
        Multilayer((), batch_size=8, side=4),
        Multilayer((), batch_size=64, side=4, grey=False),
        Multilayer((), batch_size=32, grey=False),
    )
    return NumberedFamily("softmax", problems, 600)


def wide_multilayer() -> NumberedFamily:
    """Perceptrons of the larger published sizes: colours, 16x16 pixels, batches up to 512."""
    problems = (
        Multilayer((128,), "relu", 128, side=16),
        Multilayer((64, 64, 64), "tanh", 64, side=16),
        Multilayer((128, 128), "relu", 512, side=8, grey=False),
        Multilayer((128,) * 6, "elu", 64, side=16, grey=False),
    )
    return NumberedFamily("mlp-wide", problems, 120)
