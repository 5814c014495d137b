"""Sides, schedules and measured steps of a training."""

import pytest
import torch
from torch import nn

from nascence.data import Dataset
from nascence.design import recipe
from nascence.training import train

CPU = torch.device("cpu")
SETTINGS = recipe.staged(8)


@pytest.mark.parametrize("side", [8, 16, 28, 32, 64, 224])
def test_sides_grow_to_the_full_one(side: int) -> None:
    sides = recipe.designed(side)["resolution_schedule"]
    seen = [sides(step / 100) for step in range(100)]
    assert seen == sorted(seen)
    assert seen[-1] == side
    assert all(each % 4 == 0 and 8 <= each <= side for each in seen)


def stepped(optimizer: str, *, gradient: float = 1.0, **settings: object) -> torch.Tensor:
    """What the first step of a recipe makes of a vector of zeros."""
    factory = recipe.designed(32, optimizer=optimizer, **settings)["optimizer"]
    value = nn.Parameter(torch.zeros(3))
    value.grad = torch.full((3,), gradient)
    factory([{"params": [value]}]).step()
    return value.detach()


def test_optimizers_take_their_own_steps() -> None:
    rate = recipe.RATES["adamw", "random"]  # the first step of Adam is the rate, whatever the size
    assert torch.allclose(stepped("adamw", gradient=7.0), torch.full((3,), -rate), rtol=1e-4)
    # Nesterov: the gradient and 0.9 times the velocity, which is the gradient
    expected = -1.9 * 7 * recipe.RATES["sgd", "random"]
    assert torch.allclose(stepped("sgd", gradient=7.0), torch.full((3,), expected), rtol=1e-4)
    assert (stepped("learned", gradient=7.0) < 0).all()
    told = [stepped("learned", steps=steps)[0].item() for steps in (10, 100_000)]
    assert told[0] != told[1]  # it knows how long the training will be


def test_only_a_learned_optimizer_has_no_schedule() -> None:
    for start in ("random", "predicted"):
        schedule = recipe.designed(32, start=start)["schedule"]
        assert schedule(0.0) == 0
        assert schedule(1.0) == pytest.approx(0)
        assert recipe.designed(32, optimizer="learned", start=start)["schedule"](0.3) == 1


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def test_a_step_is_measured_and_the_model_untouched(noise: Dataset) -> None:
    model = small()
    before = model[0].weight.clone()
    assert 0 < recipe.seconds_per_step(model, noise, device=CPU, settings=SETTINGS, steps=8) < 5
    assert torch.equal(before, model[0].weight)


def test_work_limit_follows_its_formula(noise: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "seconds_per_step", lambda *_, **__: 0.5)
    limit = recipe.work_limit(small(), 1000.0, noise, 60.0, device=CPU)
    steps = 60.0 / 0.5
    passes_of_the_probe = steps  # of as many images as there are
    assert limit == pytest.approx(1000.0 * passes_of_the_probe / recipe.SAMPLES_PER_IMAGE)


def test_steps_fill_the_time(noise: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "seconds_per_step", lambda *_, **__: 0.5)
    monkeypatch.setattr(recipe, "faster_precision", lambda *_, **__: "bfloat16")
    plan = recipe.training_plan(small(), noise, 60.0, device=CPU, settings=SETTINGS)
    assert plan.steps in (119, 120)
    assert plan.seconds == pytest.approx(69.0)
    assert plan.precision == "bfloat16"
    assert recipe.training_plan(small(), noise, 0.0, device=CPU, settings=SETTINGS).steps == 1


def test_trials_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(recipe.time, "perf_counter", lambda: float(next(clock)))
    assert recipe.trials_in(lambda: None, 53.0) == 50
    assert recipe.trials_in(lambda: None, 0.0) == recipe.FEWEST_TRIALS
    assert recipe.trials_in(lambda: None, 1e9) == recipe.MOST_TRIALS


def test_every_operation_of_a_block_has_its_maps() -> None:
    for maps in recipe.MAPS.values():
        assert set(maps) == {"skip_connect", "avg_pool_3x3", "nor_conv_1x1", "nor_conv_3x3"}


def test_parts_of_a_staged_training_follow_the_whole_one() -> None:
    """The schedules of rate and size of two parts, put together, are those of the whole."""
    whole = recipe.staged(32)
    first, second = recipe.staged(32, span=(0.0, 0.25)), recipe.staged(32, span=(0.25, 1.0))
    for name in ("schedule", "resolution_schedule"):
        for share in (0.0, 0.1, 0.2):
            assert first[name](4 * share) == pytest.approx(whole[name](share))
        for share in (0.25, 0.5, 0.9):
            assert second[name]((share - 0.25) / 0.75) == pytest.approx(whole[name](share))


@pytest.mark.parametrize("optimizer", recipe.STAGED_OPTIMIZERS)
@pytest.mark.parametrize("start", ["random", "predicted"])
def test_every_optimizer_trains_staged_networks(optimizer: str, start: str, noise: Dataset) -> None:
    settings = recipe.staged(8, optimizer=optimizer, start=start, steps=2)
    generator = torch.Generator().manual_seed(0)
    assert train(small(), noise, **settings, steps=2, generator=generator).steps == 2
