"""Recurrent networks: classifiers of images row by row and of text, character language models."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nascence.params import Params
from nascence.task import Draw, TaskSplit
from nascence.tasks.classification import cross_entropy
from nascence.tasks.images import CLASSES, ImageProblem, batch_of
from nascence.tasks.initial import initial_weight, sample_initialiser
from nascence.tasks.numbered import NumberedFamily, NumberedProblem
from nascence.tasks.ranges import log_uniform
from nascence.tasks.text import (
    SYMBOLS,
    draw_places,
    places_of,
    sample_text,
    windows,
)

Cell = Literal["vanilla", "gru", "lstm"]
GATES: dict[Cell, int] = {"vanilla": 1, "gru": 3, "lstm": 4}


def init_cell(
    constants: Params, cell: Cell, inputs: int, hidden: int, *, generator: torch.Generator
) -> Params:
    """Weights of a cell in the form of ``torch.nn``: ``(gates hidden, inputs)`` and so on.

    Each gate is initialised on its own; biases are zero but for that of the LSTM's forget gate,
    which is one (Jozefowicz et al. 2015).
    """

    def stacked(columns: int) -> Tensor:
        gates = [
            initial_weight(constants, (columns, hidden), generator=generator).T
            for _ in range(GATES[cell])
        ]
        return torch.cat(gates)

    bias = torch.zeros(GATES[cell], hidden)
    if cell == "lstm":
        bias[1] = 1.0
    return {
        "cell.weight_ih": stacked(inputs),
        "cell.weight_hh": stacked(hidden),
        "cell.bias_ih": bias.flatten(),
        "cell.bias_hh": torch.zeros(GATES[cell] * hidden),
    }


def unrolled(params: Params, cell: Cell, inputs: Tensor) -> list[Tensor]:
    """Hidden states ``(B, hidden)`` after each of the inputs ``(B, steps, inputs)``, from zero.

    Equations and weights are those of ``torch.nn.RNN``, ``GRU`` and ``LSTM``.
    """
    projected = inputs @ params["cell.weight_ih"].T + params["cell.bias_ih"]
    recurrent, bias = params["cell.weight_hh"].T, params["cell.bias_hh"]
    hidden = projected.new_zeros(len(inputs), recurrent.shape[0])
    memory, size = hidden, recurrent.shape[0]
    found = []
    for given in projected.unbind(1):
        own = hidden @ recurrent + bias
        if cell == "vanilla":
            hidden = torch.tanh(given + own)
        elif cell == "gru":
            both = torch.sigmoid(given[:, : 2 * size] + own[:, : 2 * size])
            reset, update = both[:, :size], both[:, size:]
            new = torch.tanh(given[:, 2 * size :] + reset * own[:, 2 * size :])
            hidden = new + update * (hidden - new)
        else:
            gates = given + own
            opened = torch.sigmoid(gates)
            entering, kept, shown = (
                opened[:, :size],
                opened[:, size : 2 * size],
                opened[:, 3 * size :],
            )
            memory = kept * memory + entering * torch.tanh(gates[:, 2 * size : 3 * size])
            hidden = shown * torch.tanh(memory)
        found.append(hidden)
    return found


def _embedded(table: Tensor, text: Tensor) -> Tensor:
    """Rows of ``(SYMBOLS, E)`` for characters ``(B, length)``.

    A product with rows of an identity is many times faster, backwards, than looking them up.
    """
    symbols = torch.arange(SYMBOLS, device=text.device)
    return (text[..., None] == symbols).to(table.dtype) @ table


def _init_linear(
    constants: Params, name: str, inputs: int, outputs: int, *, generator: torch.Generator
) -> Params:
    weight = initial_weight(constants, (inputs, outputs), generator=generator)
    return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(outputs)}


@dataclass(frozen=True)
class RowClassifier(ImageProblem):
    """Classification of images that are read row by row; the last state decides.

    Constants: those of `sample_images` and `sample_initialiser`.
    """

    cell: Cell
    hidden: int
    batch_size: int = 16
    side: int = 8

    @property
    def cost(self) -> int:
        """Multiply-adds of a step."""
        step = GATES[self.cell] * self.hidden * (self.side + self.hidden)
        return 3 * self.batch_size * (self.side * step + self.hidden * CLASSES)

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        cell = init_cell(constants, self.cell, self.side, self.hidden, generator=generator)
        return cell | _init_linear(constants, "head", self.hidden, CLASSES, generator=generator)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        images, labels = batch_of(constants, draw[0], side=self.side)
        hidden = unrolled(params, self.cell, images.unflatten(-1, (self.side, self.side)))[-1]
        logits = hidden @ params["head.weight"] + params["head.bias"]
        return cross_entropy(logits, labels)


class TextProblem(NumberedProblem):
    """A problem on text: an embedding of characters, a cell, and a linear head.

    Constants: those of `sample_text`, those of `sample_initialiser`, and ``embedding_scale``
    ``()``, the deviation of the embedding.
    """

    cell: Cell
    hidden: int
    embedding: int
    classes: int

    def sample(self, *, generator: torch.Generator) -> Params:
        """Draw the constants of a random task."""
        scale = torch.tensor(log_uniform(0.1, 1.0, generator=generator))
        text = sample_text(generator=generator)
        return text | sample_initialiser(generator=generator) | {"embedding_scale": scale}

    def init(self, constants: Params, *, generator: torch.Generator) -> Params:
        """Draw initial parameters."""
        cell = init_cell(constants, self.cell, self.embedding, self.hidden, generator=generator)
        head = _init_linear(constants, "head", self.hidden, self.classes, generator=generator)
        embedding = torch.randn(SYMBOLS, self.embedding, generator=generator)
        return {"embedding": embedding * constants["embedding_scale"]} | cell | head


@dataclass(frozen=True)
class CharacterModel(TextProblem):
    """The next character of the first language from all before it in a window."""

    cell: Cell
    hidden: int
    embedding: int = 8
    length: int = 12
    batch_size: int = 8
    classes = SYMBOLS

    @property
    def cost(self) -> int:
        """Multiply-adds of a step."""
        step = GATES[self.cell] * self.hidden * (self.embedding + self.hidden)
        ends = SYMBOLS * (self.embedding + self.hidden)
        return 3 * self.batch_size * self.length * (step + ends)

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """Draw the random part of ``count`` batches, ``(count, ...)`` each."""
        length = self.length + 1
        return draw_places(count, self.batch_size, split, length=length, generator=generator)

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        places = places_of(constants, draw[0])
        text = windows(constants["languages"][0], places, length=self.length + 1)
        embedded = _embedded(params["embedding"], text[:, :-1])
        hidden = torch.stack(unrolled(params, self.cell, embedded), 1)
        logits = hidden @ params["head.weight"] + params["head.bias"]
        return cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())


@dataclass(frozen=True)
class TextClassifier(TextProblem):
    """Which of the first ``classes`` languages a window of text is in, from the last state."""

    cell: Cell
    hidden: int
    embedding: int = 8
    length: int = 8
    batch_size: int = 16
    classes: int = 8

    @property
    def cost(self) -> int:
        """Multiply-adds of a step."""
        step = GATES[self.cell] * self.hidden * (self.embedding + self.hidden)
        step += SYMBOLS * self.embedding
        return 3 * self.batch_size * (self.length * step + self.hidden * self.classes)

    def draw(self, count: int, split: TaskSplit, *, generator: torch.Generator) -> Draw:
        """Draw the random part of ``count`` batches, ``(count, ...)`` each."""
        labels = torch.randint(self.classes, (count, self.batch_size), generator=generator)
        places = draw_places(count, self.batch_size, split, length=self.length, generator=generator)
        return *places, labels

    def loss(self, constants: Params, params: Params, draw: Draw) -> Tensor:
        """Return the loss ``()`` on one batch."""
        places, labels = places_of(constants, draw[0]), draw[1]
        text = windows(constants["languages"][labels], places, length=self.length)
        hidden = unrolled(params, self.cell, _embedded(params["embedding"], text))[-1]
        logits = hidden @ params["head.weight"] + params["head.bias"]
        return cross_entropy(logits, labels)


def recurrent() -> NumberedFamily:
    """Small recurrent classifiers of images of 8 rows."""
    problems = (
        RowClassifier("vanilla", 16, 32),
        RowClassifier("gru", 8, 16),
        RowClassifier("lstm", 8, 16),
        RowClassifier("vanilla", 32, 16),
        RowClassifier("gru", 16, 16),
        RowClassifier("lstm", 16, 8),
    )
    return NumberedFamily("recurrent", problems, 600)


def characters() -> NumberedFamily:
    """Small character language models."""
    problems = (
        CharacterModel("vanilla", 16),
        CharacterModel("gru", 16, length=8),
        CharacterModel("lstm", 12, length=8),
        CharacterModel("vanilla", 24, length=8, batch_size=16),
        CharacterModel("gru", 12, embedding=4, length=12),
        CharacterModel("lstm", 8, embedding=4, length=12),
    )
    return NumberedFamily("characters", problems, 600)


def text() -> NumberedFamily:
    """Small recurrent classifiers of text of 8 to 16 characters."""
    problems = (
        TextClassifier("vanilla", 16, length=12),
        TextClassifier("gru", 16),
        TextClassifier("lstm", 12),
        TextClassifier("vanilla", 24, classes=4),
        TextClassifier("gru", 8, length=16, batch_size=8),
        TextClassifier("lstm", 8, embedding=4, length=12),
    )
    return NumberedFamily("text", problems, 600)


def wide_recurrent() -> NumberedFamily:
    """Recurrent networks of the larger published sizes: 64 to 128 units, texts of up to 40."""
    problems = (
        CharacterModel("vanilla", 64, 16, 32, 32),
        CharacterModel("gru", 64, 16, 24, 32),
        CharacterModel("lstm", 128, 32, 32, 32),
        TextClassifier("gru", 64, 16, 40, 32),
        RowClassifier("lstm", 64, 64, 16),
    )
    return NumberedFamily("recurrent-wide", problems, 100)
