"""Cells against torch's, and losses of characters by hand."""

import math
from typing import get_args

import pytest
import torch
from torch import nn

from nascence.tasks.recurrent import (
    Cell,
    CharacterModel,
    RowClassifier,
    characters,
    init_cell,
    recurrent,
    unrolled,
)
from nascence.tasks.text import ALPHABET, language

MODULES = {"vanilla": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@pytest.mark.parametrize("cell", get_args(Cell))
def test_cells_are_those_of_torch(cell: Cell, generator: torch.Generator) -> None:
    constants = RowClassifier(cell, 5).sample(generator=generator)
    params = init_cell(constants, cell, 3, 5, generator=generator)
    params = {
        name: value + 0.1 * torch.randn(value.shape, generator=generator)
        for name, value in params.items()
    }
    module = MODULES[cell](3, 5, batch_first=True)
    with torch.no_grad():
        for name, value in params.items():
            module.get_parameter(name.removeprefix("cell.") + "_l0").copy_(value)
    inputs = torch.randn(4, 7, 3, generator=generator)
    found = torch.stack(unrolled(params, cell, inputs), 1)
    torch.testing.assert_close(found, module(inputs)[0])


def test_an_unskilled_model_of_characters_knows_nothing(generator: torch.Generator) -> None:
    for index in range(3):
        task = characters().task(index)
        params = task.init(generator=generator)
        params["head.weight"] = torch.zeros_like(params["head.weight"])
        batch = task.batch("train", generator=generator)
        torch.testing.assert_close(task.loss(params, batch), torch.tensor(math.log(29)))


def test_the_loss_of_characters_by_hand(generator: torch.Generator) -> None:
    """A model whose logits are a bias: the mean of minus log probabilities of what follows."""
    problem = CharacterModel("gru", 4, length=6, batch_size=3)
    constants = problem.sample(generator=generator)
    params = problem.init(constants, generator=generator)
    params["head.weight"] = torch.zeros(4, 29)
    params["head.bias"] = bias = torch.randn(29, generator=generator)
    draw = tuple(part[0] for part in problem.draw(1, "test", generator=generator))
    constants["seen"] = torch.tensor(False)
    text = language(int(constants["languages"][0]))
    total = 0.0
    for place in draw[0].tolist():
        for following in text[place + 1 : place + 7]:
            total -= torch.log_softmax(bias, 0)[ALPHABET.index(following)].item() / 18
    assert abs(problem.loss(constants, params, draw).item() - total) < 1e-5


def test_what_comes_first_is_predicted_without_what_follows(generator: torch.Generator) -> None:
    inputs = torch.randn(1, 5, 3, generator=generator)
    params = init_cell(
        RowClassifier("lstm", 4).sample(generator=generator), "lstm", 3, 4, generator=generator
    )
    before = unrolled(params, "lstm", inputs)
    changed = inputs.clone()
    changed[:, 3:] += 1
    after = unrolled(params, "lstm", changed)
    assert torch.equal(before[2], after[2])
    assert not torch.equal(before[3], after[3])


def test_every_cell_is_in_both_families() -> None:
    for family in (recurrent(), characters()):
        assert {problem.cell for problem in family.problems} == set(get_args(Cell))  # type: ignore[attr-defined]
