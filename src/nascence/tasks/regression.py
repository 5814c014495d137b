"""Regression on endless synthetic data: a perceptron learns the outputs of another one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nascence.params import Params
from nascence.task import Draw, TaskSplit
from nascence.tasks.initial import sample_initialiser
from nascence.tasks.multilayer import init_layers, layers, products
from nascence.tasks.numbered import NumberedFamily, NumberedProblem
from nascence.tasks.ranges import happens, log_uniform


@dataclass(frozen=True)
class Regression(NumberedProblem):
    """The mean square error of a perceptron against a tanh network of one hidden layer.

    Inputs are normal with deviations ``spectrum`` ``(inputs,)``, from 1 down to 0.01 at most.
    Other constants: ``teacher_in`` ``(inputs, teacher)``, ``teacher_out`` ``(teacher, outputs)``,
    ``noise`` ``()``, the deviation of what is added to the targets in training, and those of
    `sample_initialiser`.
    """

    inputs: int
    hidden: tuple[int, ...]
    outputs: int = 4
    activation: str = "relu"
    batch_size: int = 32
    teacher: int = 16

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of all layers."""
        return (self.inputs, *self.hidden, self.outputs)

    @property
    def cost(self) -> int:
        """Multiply-adds of a step."""
        told = products((self.inputs, self.teacher, self.outputs))
        return 3 * self.batch_size * (products(self.widths) + told)

    def sample(self, *, generator: torch.Generator) -> Params:
        """Draw the constants of a random task."""
        steepness = log_uniform(1.0, 100.0, generator=generator)
        noise = log_uniform(0.01, 1.0, generator=generator)
        noisy = happens(0.5, generator=generator)
        first = torch.randn(self.inputs, self.teacher, generator=generator)
        last = torch.randn(self.teacher, self.outputs, generator=generator)
        return {
            "spectrum": steepness ** -torch.linspace(0, 1, self.inputs),
            "teacher_in": 2 * first / self.inputs**0.5,
            "teacher_out": last / self.teacher**0.5,
            "noise": torch.tensor(noise if noisy else 0.0),
        } | sample_initialiser(generator=generator)

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        return init_layers(constants, self.widths, generator=generator)

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """Draw the random part of ``count`` batches, ``(count, ...)`` each."""
        inputs = torch.randn(count, self.batch_size, self.inputs, generator=generator)
        noise = torch.randn(count, self.batch_size, self.outputs, generator=generator)
        return inputs, noise if split == "train" else torch.zeros_like(noise)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        inputs = draw[0] * constants["spectrum"]
        told = torch.tanh(inputs @ constants["teacher_in"]) @ constants["teacher_out"]
        count = len(self.hidden) + 1
        found = layers(params, inputs, activation=self.activation, count=count)
        return (found - told - constants["noise"] * draw[1]).square().mean()


def regression() -> NumberedFamily:
    """Perceptrons that learn a function of 8 to 32 normal variables."""
    problems = (
        Regression(16, (32,)),
        Regression(32, (16, 16), activation="tanh"),
        Regression(8, (32, 32), 1),
        Regression(16, (), 8, batch_size=64),
        Regression(16, (16, 16, 16), activation="elu"),
        Regression(32, (32,), activation="swish", batch_size=16),
    )
    return NumberedFamily("regression", problems, 600)
