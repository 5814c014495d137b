# ruff: noqa: PT012  what an interrupt leaves undone is seen inside of the block
"""Budgets, checkpoints and Ctrl-C, with the signals of the system."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from nascence.core import resumable
from nascence.core.resumable import (
    Budget,
    Checkpoint,
    CheckpointError,
    interruptible,
    interrupts_held,
    load_checkpoint,
    save_checkpoint,
)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    monotonic = perf_counter


@pytest.fixture
def clock(monkeypatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(resumable, "time", moved)
    return moved


# Budget


def test_steps_alone_do_not_depend_on_the_clock(clock: Clock) -> None:
    budget, fractions = Budget(steps=4, step=1), []
    while budget.left():
        clock.now += 1e9
        budget.count()
        fractions.append(budget.fraction)
    assert fractions == [0.5, 0.75, 1.0]
    assert budget.stopped_by == "steps"


def test_the_larger_part_counts_and_earlier_legs_do(clock: Clock) -> None:
    budget = Budget(steps=100, seconds=10.0, step=20, elapsed=5.0)
    assert budget.fraction == 0.5
    clock.now += 2
    budget.count(40)
    assert (budget.step, budget.elapsed, budget.fraction) == (60, 7.0, 0.7)
    clock.now += 4
    budget.read_clock()
    assert budget.fraction == 1.0
    assert not budget.left()
    assert budget.stopped_by == "seconds"


@pytest.mark.parametrize(("steps", "parts"), [(10, 5), (7, 3), (3, 7), (100, 1)])
def test_every_part_is_passed_once(steps: int, parts: int) -> None:
    budget, passed = Budget(steps=steps), []
    while budget.left():
        budget.count()
        if budget.passed(parts):
            passed.append(budget.step)
    expected = sorted({-(-steps * part // parts) for part in range(1, parts + 1)})
    assert passed == expected


def test_a_measurement_that_takes_time_loses_no_part(clock: Clock) -> None:
    budget, passed = Budget(seconds=10.0), 0
    while budget.left():
        clock.now += 0.5
        budget.count()
        if budget.passed(4):
            passed += 1
            clock.now += 0.3
            budget.read_clock()
    assert passed == 4


@pytest.mark.parametrize(
    "wrong", [{}, {"steps": 0}, {"seconds": 0.0}, {"seconds": float("nan")}, {"steps": -1}]
)
def test_impossible_budgets_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"give one or both|must be positive"):
        Budget(**wrong)


# Checkpoint


def test_a_state_goes_round_and_other_identities_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.pt"
    checkpoint = Checkpoint(path, {"seed": 1, "sizes": (2, 3)}, of="search")
    assert checkpoint.load() is None
    checkpoint.save({"weights": torch.arange(3.0), "step": 7})
    state = Checkpoint(path, {"seed": 1, "sizes": (2, 3)}).load()
    assert state is not None
    assert state["step"] == 7
    assert state["weights"].equal(torch.arange(3.0))
    for identity, message in (
        ({"seed": 2, "sizes": (2, 3)}, "of another search: its seed is 1, not 2;"),
        ({"seed": 1}, r"its sizes is \(2, 3\), not None"),
        ({"seed": 1, "sizes": (2, 3), "data": "x"}, "its data is None, not 'x'"),
    ):
        with pytest.raises(CheckpointError, match=message):
            Checkpoint(path, identity, of="search").load()


@pytest.mark.parametrize("nested", [False, True])
def test_checkpoints_of_version_0_1_0_are_read(tmp_path: Path, nested: bool) -> None:
    identity = {"seed": 1, "steps": 3}
    content = {"identity": identity} if nested else dict(identity)
    save_checkpoint(tmp_path / "a.pt", {**content, "run": {"step": 2}})
    assert Checkpoint(tmp_path / "a.pt", identity).load() == {"step": 2}
    with pytest.raises(CheckpointError, match="its seed is 1, not 4"):
        Checkpoint(tmp_path / "a.pt", {"seed": 4, "steps": 3}).load()


def test_without_a_path_nothing_is_kept() -> None:
    checkpoint = Checkpoint(None, {})
    checkpoint.save({"step": 1})
    assert checkpoint.load() is None
    with checkpoint.kept(lambda: {}) as stepped:
        stepped(ended=True)


def test_a_state_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "a.pt", {"seed": 1})
    assert not checkpoint.resume(lambda state: state["weights"])
    checkpoint.save({"step": 1})
    taken: list[int] = []
    assert checkpoint.resume(lambda state: taken.append(state["step"]))
    assert taken == [1]
    model = torch.nn.Linear(2, 2)
    for take in (
        lambda state: state["weights"],
        lambda state: model.load_state_dict({"weight": torch.ones(3)}),
        lambda state: state["step"]["deeper"],
    ):
        with pytest.raises(CheckpointError, match="does not hold the state of this training") as e:
            checkpoint.resume(take)
        assert "\n" not in str(e.value)


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"step": 1})

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(CheckpointError, match=r"No space left.*free some space") as caught:
        save_checkpoint(path, {"step": 2})
    assert "\n" not in str(caught.value)
    assert load_checkpoint(path) == {"step": 1}
    assert os.listdir(tmp_path) == ["a.pt"]


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_damaged_and_foreign_files_are_one_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.pt"
    save_checkpoint(path, {"a": torch.ones(50), "b": {"c": [1, "two", 3.0]}})
    whole = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    files = [b"", b"PK\x03\x04 cut", pickle.dumps(Bomb(), protocol=2), pickle.dumps([1])]
    for _ in range(100):
        damaged = bytearray(whole)
        for place in torch.randint(len(whole), (20,), generator=generator).tolist():
            damaged[place] = int(torch.randint(256, (), generator=generator))
        cut = int(torch.randint(len(whole), (), generator=generator))
        files += [bytes(damaged), whole[:cut]]
    refused: list[str] = []
    for content in files:
        path.write_bytes(content)
        try:
            load_checkpoint(path)
        except CheckpointError as error:
            refused.append(str(error))
    assert len(refused) > 104
    assert not any("\n" in line for line in refused)
    assert not (tmp_path / "exploded").exists()


# Interrupts


def test_the_first_interrupt_waits_for_the_step_and_the_second_does_not() -> None:
    saves, steps = [], []
    with (
        pytest.raises(KeyboardInterrupt),
        interruptible(lambda: saves.append(len(steps)), seconds=1e9) as stepped,
    ):
        for step in range(10):
            if step == 3:
                signal.raise_signal(signal.SIGINT)
            steps.append(step)
            stepped()
    assert (steps, saves) == ([0, 1, 2, 3], [4])
    torn: list[int] = []
    with pytest.raises(KeyboardInterrupt), interruptible(lambda: torn.append(0)):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        torn.append(1)
    assert not torn
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_step_that_does_not_end_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "PATIENCE", 0.2)
    saves: list[int] = []
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), interruptible(lambda: saves.append(1)):
        signal.raise_signal(signal.SIGINT)
        time.sleep(30)
    assert time.monotonic() - started < 10
    assert saves == []
    threads = [each for each in threading.enumerate() if isinstance(each, threading.Timer)]
    assert not [each for each in threads if each.is_alive() and not each.finished.is_set()]


def test_an_interrupt_raised_by_a_report_saves() -> None:
    saves: list[int] = []

    def report() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), interruptible(lambda: saves.append(1)) as stepped:
        stepped(report=report)
    with pytest.raises(KeyboardInterrupt), interruptible(lambda: saves.append(2)) as stepped:
        stepped(ended=True, report=report)
    assert saves == [1, 2]


def test_checkpoints_are_written_when_it_is_time_and_at_the_end(clock: Clock) -> None:
    saves: list[float] = []
    with interruptible(lambda: saves.append(clock.now), seconds=10.0) as stepped:
        for step in range(1, 26):
            clock.now += 1
            stepped(ended=step == 25)
    assert saves == [111.0, 122.0, 125.0]


def test_without_a_checkpoint_the_interrupt_comes_at_once() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interruptible(None) as stepped:
        stepped()
        signal.raise_signal(signal.SIGINT)
        done.append(1)
    assert not done


def test_a_handler_of_the_program_is_left_alone() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with interruptible(lambda: None) as stepped:
            signal.raise_signal(signal.SIGINT)
            stepped()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_other_threads_run_the_loop_too() -> None:
    saves: list[int] = []

    def loop() -> None:
        with interruptible(lambda: saves.append(1)) as stepped:
            stepped(ended=True)

    thread = threading.Thread(target=loop)
    thread.start()
    thread.join()
    assert saves == [1]


def test_started_processes_do_not_hear_the_interrupt_and_it_is_not_lost() -> None:
    code = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(.1); print(7)"
    started: list[subprocess.Popen[str]] = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        started.append(
            subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        )
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        started.append(started[0])  # reached: the interrupt waits
    assert len(started) == 2
    assert started[0].communicate()[0] == "7\n"
