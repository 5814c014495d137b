"""Which arithmetic is chosen, and when none is measured."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from nascence.data import Dataset
from nascence.design import precision
from nascence.design.precision import faster_precision

CPU = torch.device("cpu")


class Sleeper(nn.Module):
    """Takes these seconds for a step in float32 and under autocast."""

    def __init__(self, clock: list[float], plain: float, half: float) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 3)
        self.clock, self.spent = [clock], {False: plain, True: half}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.clock[0][0] += self.spent[torch.is_autocast_enabled("cpu")]
        return self.layer(images.flatten(1))


@pytest.fixture
def model_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], Sleeper]:
    """Makes a network on a clock that it alone moves."""
    clock = [0.0]
    monkeypatch.setattr(precision.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(precision.copy, "deepcopy", lambda model: model)
    return lambda plain, half: Sleeper(clock, plain, half)


@pytest.mark.parametrize(
    ("half", "expected"),
    [(0.5, "bfloat16"), (0.89, "bfloat16"), (0.95, "float32"), (2.0, "float32"), (9.0, "float32")],
)
def test_the_faster_one_is_named(
    model_of: Callable[[float, float], Sleeper], noise: Dataset, half: float, expected: str
) -> None:
    assert faster_precision(model_of(1.0, half), noise, device=CPU) == expected


def test_slow_emulation_is_measured_once(
    model_of: Callable[[float, float], Sleeper], noise: Dataset
) -> None:
    model = model_of(1.0, 100.0)
    faster_precision(model, noise, device=CPU)
    assert model.clock[0][0] == 1 + 100 + 1


def test_the_model_stays_as_it_is(noise: Dataset) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    model.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert faster_precision(model, noise, device=CPU, steps=1) in ("float32", "bfloat16")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_gpu_is_not_measured(noise: Dataset) -> None:
    assert faster_precision(nn.Identity(), noise, device=torch.device("cuda")) == "auto"
