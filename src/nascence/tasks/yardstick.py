"""The yardstick: a multilayer perceptron 64-32-10 on 8x8 images, batches of 64."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nascence.params import Params
from nascence.task import Draw, TaskSplit
from nascence.tasks.classification import cross_entropy
from nascence.tasks.images import CLASSES, draw_rows, rows_of, sample
from nascence.tasks.numbered import NumberedFamily, NumberedProblem


@dataclass(frozen=True)
class Perceptron(NumberedProblem):
    """Classification of 8x8 grey images by a ReLU perceptron with one hidden layer.

    Constants: ``init_scale`` and ``input_scale`` ``()``, factors of the He initialisation and of
    the pixels; ``rows`` ``()``, how many training images there are; ``classes`` ``(10,)``, the
    label that stands for each class.
    """

    hidden: int = 32
    batch_size: int = 64
    side: int = 8

    @property
    def cost(self) -> int:
        """Multiply-adds of a step: three times those of the loss of a batch."""
        return 3 * self.batch_size * self.hidden * (self.side**2 + CLASSES)

    def sample(self, *, generator: torch.Generator) -> Params:
        """Draw the constants of a random task."""
        scale, pixel, rows, grouped = torch.rand(4, generator=generator).tolist()
        order = torch.randperm(CLASSES, generator=generator)
        return {
            "init_scale": torch.tensor(10 ** (scale - 0.5)),
            "input_scale": torch.tensor(10 ** (0.6 * (pixel - 0.5))),
            "rows": torch.tensor(round(250 * 16**rows)),
            "classes": order // (2 if grouped < 0.25 else 1),
        }

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        inputs = self.side**2
        scale = constants["init_scale"]
        first = torch.randn(inputs, self.hidden, generator=generator) * math.sqrt(2 / inputs)
        last = torch.randn(self.hidden, CLASSES, generator=generator) / math.sqrt(self.hidden)
        return {
            "first.weight": first * scale,
            "first.bias": torch.zeros(self.hidden),
            "last.weight": last * scale,
            "last.bias": torch.zeros(CLASSES),
        }

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """Draw the random part of ``count`` batches, ``(count, ...)`` each."""
        return draw_rows(count, self.batch_size, split, generator=generator)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        images, labels = sample(self.side, device=str(draw[0].device))
        rows = rows_of(draw[0], constants["rows"])
        inputs = functional.embedding(rows, images.flatten(1)) * constants["input_scale"]
        hidden = torch.relu(inputs @ params["first.weight"] + params["first.bias"])
        logits = hidden @ params["last.weight"] + params["last.bias"]
        return cross_entropy(logits, constants["classes"][labels[rows]])


@dataclass(frozen=True)
class Yardstick(NumberedFamily):
    """Perceptrons of one shape that differ in scales, number of images and grouping of classes."""

    name: str = "yardstick"
    problems: tuple[NumberedProblem, ...] = (Perceptron(),)
    count: int = 1000
