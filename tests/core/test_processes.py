"""Tasks in processes, Ctrl-C on its way to them, and the death of who started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nascence.core.processes import map_in_processes
from nascence.core.resumable import Checkpoint

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started anew import their function by name."""
    monkeypatch.syspath_prepend(HERE)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Two tasks of a minute at work in a process group of their own, and a third waiting."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "tasks_for_tests.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 60
    while len(list(tmp_path.glob("*.begun"))) < 2:
        assert time.monotonic() < limit
        time.sleep(0.05)
    time.sleep(0.3)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_results_come_in_order_from_prepared_processes() -> None:
    import tasks_for_tests as mine

    results = map_in_processes(
        mine.told, [3, 1, 2], workers=2, threads=1, prepare=mine.prepare, arguments=("ready",)
    )
    assert list(results) == [(9, "ready", 1), (1, "ready", 1), (4, "ready", 1)]


def test_an_error_of_a_task_is_raised() -> None:
    import tasks_for_tests as mine

    with pytest.raises(ValueError, match="of task 2"):
        list(map_in_processes(mine.fails, [1, 2, 3], workers=1))


@pytest.mark.parametrize("to_all", [True, False], ids=["as a terminal sends it", "to one alone"])
def test_an_interrupt_ends_every_task_after_a_checkpoint(
    tmp_path: Path, running: subprocess.Popen[str], to_all: bool
) -> None:
    (os.killpg if to_all else os.kill)(running.pid, signal.SIGINT)
    said = running.communicate(timeout=30)[1]
    assert running.returncode == 130
    assert not said
    for number in (0, 1):
        state = Checkpoint(tmp_path / f"{number}.pt", {}).load()
        assert state is not None
        assert 0 < state["step"] < 1200
    assert not (tmp_path / "2.begun").exists()


def test_no_task_outlives_who_started_it(tmp_path: Path, running: subprocess.Popen[str]) -> None:
    running.kill()
    running.wait()
    limit = time.monotonic() + 20
    while True:  # until the group is empty
        try:
            os.killpg(running.pid, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert not list(tmp_path.glob("*.pt"))
