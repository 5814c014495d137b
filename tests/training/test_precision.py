"""Which arithmetic a training takes: measured once, kept in its checkpoint."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from nascence.training import (
    adamw,
    faster_precision,
    loop,
    precision,
    train,
    unmeasured_precision,
)

CPU = torch.device("cpu")


class Sleeper(nn.Module):
    """Takes these seconds for a step in float32 and under autocast."""

    def __init__(self, clock: list[float], plain: float, half: float) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 2)
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
    model_of: Callable[[float, float], Sleeper], bright_or_dark, half: float, expected: str
) -> None:
    assert faster_precision(model_of(1.0, half), bright_or_dark(), device=CPU) == expected


def test_slow_emulation_is_measured_once(
    model_of: Callable[[float, float], Sleeper], bright_or_dark
) -> None:
    model = model_of(1.0, 100.0)
    faster_precision(model, bright_or_dark(), device=CPU)
    assert model.clock[0][0] == 1 + 100 + 1


def test_the_model_stays_as_it_is(bright_or_dark) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    model.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert faster_precision(model, bright_or_dark(), device=CPU, steps=1) in ("float32", "bfloat16")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_gpu_is_not_measured(bright_or_dark) -> None:
    assert faster_precision(nn.Identity(), bright_or_dark(), device=torch.device("cuda")) == "auto"


def test_the_time_to_measure_in_can_be_bounded(
    model_of: Callable[[float, float], Sleeper], bright_or_dark
) -> None:
    model = model_of(1.0, 0.5)
    faster_precision(model, bright_or_dark(), device=CPU, steps=100, seconds=5.0)
    assert model.clock[0][0] == 1 + 0.5 + 1 + 2 * 1.5


def test_what_auto_was_before() -> None:
    assert unmeasured_precision("cpu") == "float32"
    assert unmeasured_precision(torch.device("cuda", 1)) == "auto"


def test_a_resumed_training_keeps_the_choice(
    tmp_path: Path, bright_or_dark, network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine may have been busy the first time: what was begun is ended in the same way."""
    choices = iter(["bfloat16"])
    monkeypatch.setattr(loop, "faster_precision", lambda *_, **__: next(choices))
    settings = {"optimizer": adamw(), "steps": loop.WORTH, "measurements": 0, "batch_size": 16}

    def run(**more):
        generator = torch.Generator().manual_seed(3)
        return train(network(), bright_or_dark(), generator=generator, **settings, **more)

    def stop(fraction: float, _: object) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=tmp_path / "a.pt", progress=stop)
    resumed = run(checkpoint=tmp_path / "a.pt")
    whole = run(precision="bfloat16")
    assert resumed.precision == whole.precision == "bfloat16"
    for name, value in whole.model.state_dict().items():
        assert value.equal(resumed.model.state_dict()[name])

    saved = torch.load(tmp_path / "a.pt", weights_only=True)
    del saved["run"]["precision"]  # as files of earlier versions are
    torch.save(saved, tmp_path / "a.pt")
    assert run(checkpoint=tmp_path / "a.pt").precision == "float32"


def test_measuring_changes_no_training(bright_or_dark, network) -> None:
    found = []
    for chosen in ("auto", "float32"):
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(3)
        training = train(
            network(dropout=0.5),
            bright_or_dark(),
            optimizer=adamw(),
            generator=generator,
            steps=loop.WORTH,
            batch_size=2,
            measurements=0,
            precision=chosen,
        )
        found.append((training, torch.rand(3)))
    (measured, later), (plain, _) = found
    assert measured.precision in ("float32", "bfloat16")
    assert later.equal(found[1][1])
    if measured.precision == "float32":
        for name, value in plain.model.state_dict().items():
            assert value.equal(measured.model.state_dict()[name])


def test_a_short_training_is_not_measured(
    bright_or_dark, network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "faster_precision", lambda *_, **__: pytest.fail("measured"))
    generator = torch.Generator().manual_seed(3)
    settings = {"optimizer": adamw(), "batch_size": 4, "measurements": 0}
    short = train(
        network(), bright_or_dark(), generator=generator, steps=loop.WORTH - 1, **settings
    )
    assert short.precision == "float32"
