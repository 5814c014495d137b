"""Functions have their published minima."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import grad

from nascence.tasks.functions import LANDSCAPES, function

# Published values at places other than the minimum, worked by hand.
KNOWN = {
    "rosenbrock": ((-1, 1), 100.0, 4.0),
    "beale": ((0, 0), 1.0, 1.5**2 + 2.25**2 + 2.625**2),
    "styblinski_tang": ((0, 0), 1.0, 0.0),
    "himmelblau": ((0, 0), 1.0, 170.0),
    "booth": ((0, 0), 1.0, 74.0),
    "matyas": ((1, 1), 1.0, 0.04),
    "three_hump_camel": ((1, 1), 1.0, 2 - 1.05 + 1 / 6 + 2),
    "six_hump_camel": ((1, 1), 1.0, 4 - 2.1 + 1 / 3 + 1),
    "levy": ((0, 1), 1.0, 1.0),
    "rastrigin": ((0.5, 0), 1.0, 20.25),
    "bowl": ((1, 2), 10.0, 20.5),
    "goldstein_price": ((0, 0), 1.0, math.log(600)),
    "mccormick": ((0, 0), 1.0, 1.0),
    "ackley": ((1, 0), 1.0, 20 - 20 * math.exp(-0.2 * math.sqrt(0.5))),
}


@pytest.mark.parametrize("name", LANDSCAPES)
def test_the_published_minimum(name: str) -> None:
    landscape = LANDSCAPES[name]
    place = torch.tensor(landscape.least_at, dtype=torch.float64)
    shape = torch.tensor(7.0, dtype=torch.float64)
    assert abs(landscape.value(place[0], place[1], shape) - landscape.least) < 2e-6
    slope = grad(lambda p: landscape.value(p[0], p[1], shape))(place)
    if name != "ackley":  # which has a point there
        assert slope.abs().max() < 1e-3


@pytest.mark.parametrize("name", LANDSCAPES)
@given(data=st.data())
def test_nothing_is_below_it(name: str, data: st.DataObject) -> None:
    landscape = LANDSCAPES[name]
    sides = st.floats(-3 * landscape.box, 3 * landscape.box)
    x, y = (torch.tensor(data.draw(sides), dtype=torch.float64) for _ in range(2))
    shape = torch.tensor(data.draw(st.floats(*landscape.shape)), dtype=torch.float64)
    assert landscape.value(x, y, shape) >= landscape.least - 2e-6


@pytest.mark.parametrize("name", LANDSCAPES)
def test_known_values(name: str) -> None:
    (x, y), shape, known = KNOWN[name]
    place = torch.tensor([x, y], dtype=torch.float64)
    value = LANDSCAPES[name].value(place[0], place[1], torch.tensor(shape))
    assert abs(value - known) < 1e-9


def test_the_task_is_the_function_turned_and_scaled(generator: torch.Generator) -> None:
    task = function().task(4)
    constants = task.constants
    least = torch.tensor(LANDSCAPES["styblinski_tang"].least_at)
    place = torch.linalg.solve(constants["turn"], least - constants["centre"])
    batch = task.batch("test", generator=generator)
    assert abs(task.loss({"x": place}, batch) / constants["scale"]) < 1e-3
    turn = constants["turn"]
    torch.testing.assert_close(turn @ turn.T / (turn @ turn.T)[0, 0], torch.eye(2))


def test_starts_are_in_the_box(generator: torch.Generator) -> None:
    task = function().task(1)
    for _ in range(20):
        x = task.init(generator=generator)["x"]
        place = task.constants["turn"] @ x + task.constants["centre"]
        assert place.abs().max() <= LANDSCAPES["rosenbrock"].box * 1.001


def test_only_training_is_noisy(generator: torch.Generator) -> None:
    family = function()
    noisy = [k for k in range(40) if family.task(k).constants["noise"] > 0]
    assert 10 < len(noisy) < 30
    task = family.task(noisy[0])
    params = task.init(generator=generator)
    losses = {
        split: {float(task.loss(params, task.batch(split, generator=generator))) for _ in range(3)}
        for split in ("train", "outer-valid")
    }
    assert len(losses["train"]) == 3
    assert len(losses["outer-valid"]) == 1
