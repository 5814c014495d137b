"""Meta-training goes on exactly, over legs and processes."""

import json
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import torch

from nascence.core.files import LockedError
from nascence.core.resumable import CheckpointError, load_checkpoint, save_checkpoint
from nascence.optim import SGD, Small, load, meta_train, read_card
from nascence.optim.meta.training import CHECKPOINT, LOG, WEIGHTS
from nascence.optim.theta import flatten
from nascence.tasks import Quadratics

SETTINGS: dict[str, Any] = {
    "cohorts": 3,
    "pairs": 4,
    "window": 5,
    "lengths": (5, 20),
    "ramp": 3,
}
FAMILIES = [Quadratics(count=60)]


def test_legs_and_processes_change_nothing(tmp_path: Path) -> None:
    whole = meta_train(Small(), FAMILIES, out=tmp_path / "whole", steps=6, **SETTINGS)
    meta_train(Small(), FAMILIES, out=tmp_path / "legs", steps=2, **SETTINGS)
    meta_train(Small(), FAMILIES, out=tmp_path / "legs", seconds=1e-9, **SETTINGS)
    legs = meta_train(Small(), FAMILIES, out=tmp_path / "legs", steps=6, workers=2, **SETTINGS)
    assert torch.equal(flatten(legs.optimizer), flatten(whole.optimizer))
    assert legs.particle_steps == whole.particle_steps
    lines = [json.loads(line) for line in (tmp_path / "legs" / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 7))
    assert torch.equal(flatten(load(tmp_path / "legs" / WEIGHTS)), flatten(whole.optimizer))
    card = read_card(tmp_path / "legs" / WEIGHTS)
    assert card["outer_steps"] == 6
    assert card["families"] == "quadratic (60)"


def test_a_leg_that_was_killed_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    whole = meta_train(Small(), FAMILIES, out=tmp_path / "whole", steps=5, **SETTINGS)
    meta_train(Small(), FAMILIES, out=tmp_path / "killed", steps=2, **SETTINGS)
    held = (tmp_path / "killed" / CHECKPOINT).read_bytes()
    meta_train(Small(), FAMILIES, out=tmp_path / "killed", steps=4, **SETTINGS)
    (tmp_path / "killed" / CHECKPOINT).write_bytes(held)  # the log is now ahead of it
    again = meta_train(Small(), FAMILIES, out=tmp_path / "killed", steps=5, **SETTINGS)
    assert torch.equal(flatten(again.optimizer), flatten(whole.optimizer))
    assert len((tmp_path / "killed" / LOG).read_text().splitlines()) == 5


def test_a_rate_that_is_far_too_small_grows(tmp_path: Path) -> None:
    before = SGD(1e-4, momentum=0.0)
    settings = {**SETTINGS, "pairs": 16, "learning_rate": 0.1, "sigma": 0.1}
    after = meta_train(before, FAMILIES, out=tmp_path, steps=20, **settings).optimizer
    assert isinstance(after, SGD)
    assert after.log_rate > before.log_rate + 0.5
    assert before.log_rate == SGD(1e-4, momentum=0.0).log_rate


def test_another_training_is_refused_and_kept(tmp_path: Path) -> None:
    meta_train(Small(), FAMILIES, out=tmp_path, steps=1, **SETTINGS)
    held = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(CheckpointError, match="its seed is '0', not '1'"):
        meta_train(Small(), FAMILIES, out=tmp_path, steps=1, seed=1, **SETTINGS)
    (tmp_path / CHECKPOINT).write_bytes(held[:100])
    with pytest.raises(CheckpointError, match="not a checkpoint that can be read"):
        meta_train(Small(), FAMILIES, out=tmp_path, steps=1, **SETTINGS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": None}, "neither steps nor seconds"),
        ({"pairs": 0}, "at least 1"),
        ({"lengths": (20, 5)}, "lengths ascend"),
        ({"objective": "loss"}, "sign, normalised, plain"),
    ],
)
def test_impossible_settings_are_refused(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        meta_train(Small(), FAMILIES, out=tmp_path, **{"steps": 1, **SETTINGS, **changed})


def test_an_interrupt_leaves_a_checkpoint(tmp_path: Path) -> None:
    def interrupt(line: dict[str, Any]) -> None:
        if line["step"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        meta_train(Small(), FAMILIES, out=tmp_path, steps=9, progress=interrupt, **SETTINGS)
    assert (tmp_path / CHECKPOINT).exists()
    assert meta_train(Small(), FAMILIES, out=tmp_path, steps=3, **SETTINGS).steps == 3


def test_a_learned_optimizer_trains_another_copy(tmp_path: Path) -> None:
    """Self-training: a rate that is far too small grows, by a learned optimizer instead of Adam."""
    outer = Small(learning_rate=0.1)
    settings = {**SETTINGS, "pairs": 16, "sigma": 0.1, "outer": outer}
    before = SGD(1e-4, momentum=0.0)
    after = meta_train(before, FAMILIES, out=tmp_path, steps=20, **settings).optimizer
    assert isinstance(after, SGD)
    assert after.log_rate > before.log_rate + 0.5
    card = read_card(tmp_path / WEIGHTS)
    assert card["outer"].startswith("Small ")


def test_self_training_goes_on_exactly_and_is_not_mixed_with_adam(tmp_path: Path) -> None:
    settings = {**SETTINGS, "outer": load("optimizer-small")}
    whole = meta_train(Small(), FAMILIES, out=tmp_path / "whole", steps=4, **settings)
    meta_train(Small(), FAMILIES, out=tmp_path / "legs", steps=2, **settings)
    legs = meta_train(Small(), FAMILIES, out=tmp_path / "legs", steps=4, **settings)
    assert torch.equal(flatten(legs.optimizer), flatten(whole.optimizer))
    adam = meta_train(Small(), FAMILIES, out=tmp_path / "adam", steps=4, **SETTINGS)
    assert not torch.equal(flatten(adam.optimizer), flatten(whole.optimizer))
    with pytest.raises(CheckpointError, match="outer"):
        meta_train(Small(), FAMILIES, out=tmp_path / "legs", steps=5, **SETTINGS)
    with pytest.raises(CheckpointError, match="outer"):
        meta_train(Small(), FAMILIES, out=tmp_path / "adam", steps=5, **settings)


def test_weights_that_a_kill_prevented_are_written_by_the_next_call(tmp_path: Path) -> None:
    whole = meta_train(Small(), FAMILIES, out=tmp_path, steps=2, **SETTINGS)
    (tmp_path / WEIGHTS).unlink()  # as if the process had ended between checkpoint and weights
    again = meta_train(Small(), FAMILIES, out=tmp_path, steps=2, **SETTINGS)
    assert again.steps == 2
    assert torch.equal(flatten(load(tmp_path / WEIGHTS)), flatten(whole.optimizer))


def test_a_checkpoint_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """Version 0.1.0 kept the identity beside the state."""
    whole = meta_train(Small(), FAMILIES, out=tmp_path / "whole", steps=4, **SETTINGS)
    meta_train(Small(), FAMILIES, out=tmp_path / "legs", steps=2, **SETTINGS)
    path = tmp_path / "legs" / CHECKPOINT
    content = load_checkpoint(path)
    save_checkpoint(path, {"identity": content["identity"], **content["run"]})
    legs = meta_train(Small(), FAMILIES, out=tmp_path / "legs", steps=4, **SETTINGS)
    assert torch.equal(flatten(legs.optimizer), flatten(whole.optimizer))


def test_two_in_one_folder_are_refused(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from nascence.core.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=PIPE, stdout=PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match="another process is working on"):
            meta_train(Small(), FAMILIES, out=tmp_path, steps=1, **SETTINGS)
        holder.stdin.close()
    assert meta_train(Small(), FAMILIES, out=tmp_path, steps=1, **SETTINGS).steps == 1


def test_a_checkpoint_without_its_state_is_refused(tmp_path: Path) -> None:
    meta_train(Small(), FAMILIES, out=tmp_path, steps=1, **SETTINGS)
    content = load_checkpoint(tmp_path / CHECKPOINT)
    del content["run"]["theta"]
    save_checkpoint(tmp_path / CHECKPOINT, content)
    with pytest.raises(CheckpointError, match="does not hold the state of this meta-training"):
        meta_train(Small(), FAMILIES, out=tmp_path, steps=2, **SETTINGS)
