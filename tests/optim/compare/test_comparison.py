"""Comparisons against trials alone; an interrupted one goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nascence.core.randomness import derived_seed
from nascence.core.resumable import CheckpointError
from nascence.optim import SGD
from nascence.optim.compare import comparison
from nascence.optim.compare.comparison import (
    HELD_OUT,
    SEEN,
    UNSEEN,
    choose_tasks,
    compare,
    group_of,
)
from nascence.optim.compare.contestants import Contestant
from nascence.optim.compare.trials import run_trials
from nascence.task import Stack
from nascence.tasks import Quadratics, ReparametrisedFamily, Yardstick

FAMILIES = [Quadratics(count=60)]
SETTINGS = {"tasks": 3, "steps": 4, "seeds": 2}


def rates(*values: float) -> Contestant:
    theta = {"log_rate": torch.tensor(values).log(), "momentum": torch.zeros(len(values))}
    return Contestant("SGD", SGD(), theta, (1, len(values)))


PLAIN = Contestant("SGD 0.01", SGD(0.01, momentum=0.0))


def test_tasks_are_half_from_the_last_fifth_and_of_few_problems() -> None:
    family = Quadratics(count=300)
    for count, problems in ((1, 1), (3, 1), (9, 3)):
        tasks = choose_tasks(family, count)
        late = [int(task.name.split("/")[1]) >= 240 for task in tasks]
        assert late == [True] * (count - count // 2) + [False] * (count // 2)
        assert len({task.name for task in tasks}) == count
        assert 1 <= len({task.problem for task in tasks}) <= problems
        assert [task.name for task in choose_tasks(family, count)] == [task.name for task in tasks]
    with pytest.raises(ValueError, match="50 tasks of yardstick"):
        choose_tasks(Yardstick(count=100), 50)


def test_groups() -> None:
    family = Yardstick(count=100)
    assert group_of("yardstick/79", family, {"yardstick": 0.2}) == SEEN
    assert group_of("yardstick/80", family, {"yardstick": 0.2}) == HELD_OUT
    assert group_of("yardstick/5", family, {"quadratic": 0.2}) == UNSEEN
    units = ReparametrisedFamily(family, "task")
    assert group_of("yardstick:units/5", units, {"yardstick": 0.2}) == SEEN


def test_results_are_those_of_trials_alone(tmp_path: Path) -> None:
    both = [rates(1e-3, 0.1, 0.01), PLAIN]
    tuned, plain = compare(both, FAMILIES, **SETTINGS, out=tmp_path)
    tasks = choose_tasks(FAMILIES[0], 3)
    assert tuned.tasks == tuple(task.name for task in tasks)
    stack = Stack.of([tasks[0], *(task for task in tasks[1:] if task.problem == tasks[0].problem)])
    stack = Stack.of([FAMILIES[0].task(int(name.split("/")[1])) for name in stack.names] * 2)
    seed = derived_seed(stack.names[0], 0)
    alone = run_trials(SGD(), stack, steps=4, seed=seed, theta=both[0].theta)
    half = len(stack) // 2
    for repetition, place in ((0, 0), (1, half)):
        assert tuned.first[repetition, 0] == alone.first[place]
        assert tuned.best[3][repetition, 0] == alone.best_of(3)[1][place]
        assert tuned.best[1][repetition, 0] == alone.test[0, place]
        assert tuned.lowest[repetition, 0] == alone.test[:, place].min()
    assert torch.equal(tuned.first, plain.first)  # the same starts for everyone
    assert not torch.equal(tuned.first[0], tuned.first[1])  # others in the second repetition


def test_an_interrupted_comparison_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(done: float, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare([PLAIN, rates(0.1, 0.2)], FAMILIES, **SETTINGS, out=tmp_path, progress=interrupted)
    assert len(list(tmp_path.glob("quadratic--*.json"))) == 1
    ran: list[str] = []
    whole = comparison._run

    def noted(entrant: Contestant, *rest: Any, **settings: Any) -> Any:
        ran.append(entrant.name)
        return whole(entrant, *rest, **settings)

    monkeypatch.setattr(comparison, "_run", noted)
    resumed = compare([PLAIN, rates(0.1, 0.2)], FAMILIES, **SETTINGS, out=tmp_path)
    assert ran == ["SGD"]
    direct = compare([PLAIN, rates(0.1, 0.2)], FAMILIES, **SETTINGS, out=tmp_path / "other")
    for one, other in zip(resumed, direct, strict=True):
        assert torch.equal(one.first, other.first)
        assert torch.equal(one.lowest, other.lowest)
        assert one.best.keys() == other.best.keys()
        assert all(torch.equal(one.best[count], other.best[count]) for count in one.best)
    # another setting is another file; what was there stays
    compare([Contestant("SGD 0.01", SGD(0.02))], FAMILIES, **SETTINGS, out=tmp_path)
    assert len(list(tmp_path.glob("quadratic--*.json"))) == 3


def test_a_loss_that_is_infinite_survives_the_file(tmp_path: Path) -> None:
    wild = [Contestant("wild", SGD(1e20, momentum=0.0))]
    first = compare(wild, FAMILIES, tasks=1, steps=9, out=tmp_path)
    again = compare(wild, FAMILIES, tasks=1, steps=9, out=tmp_path)
    for (result,) in (first, again):
        assert torch.isinf(result.best[1]).all()
        assert torch.isfinite(result.first).all()


def test_other_settings_and_damage_are_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    compare([PLAIN], FAMILIES, **SETTINGS, out=tmp_path)
    held = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="comparison with steps 4, not 5"):
        compare([PLAIN], FAMILIES, tasks=3, steps=5, seeds=2, out=tmp_path)
    with pytest.raises(ValueError, match="comparison with tasks 3, not 2"):
        compare([PLAIN], FAMILIES, tasks=2, steps=4, seeds=2, out=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == held
    (result,) = tmp_path.glob("quadratic--*.json")
    for content in ("{", "[]", json.dumps({"best": {"1": 3}})):
        result.write_text(content)
        with pytest.raises(ValueError, match="is damaged"):
            compare([PLAIN], FAMILIES, **SETTINGS, out=tmp_path)
    (tmp_path / "comparison.json").write_text("[1]")
    with pytest.raises(ValueError, match="is damaged"):
        compare([PLAIN], FAMILIES, **SETTINGS, out=tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((CheckpointError, OSError)):
        compare([PLAIN], FAMILIES, **SETTINGS, out=tmp_path / "file")


@pytest.mark.parametrize("name", ["tasks", "steps", "seeds", "batches"])
def test_nothing_may_be_zero(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0"):
        compare([PLAIN], FAMILIES, out=tmp_path, **{name: 0})
