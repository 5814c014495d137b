"""Sums, errors and interrupts across processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from nascence.hypernet import in_processes


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started anew import their function by name."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


def test_one_result_of_a_shared_sum() -> None:
    import processes_for_tests

    assert in_processes(2, processes_for_tests.total, 10.0) == (2, 10.0 * 2 + 1)
    assert not dist.is_initialized()


def test_errors_of_any_process_are_raised() -> None:
    import processes_for_tests

    with pytest.raises(ValueError, match="of process 1"):
        in_processes(2, processes_for_tests.fails, 1)
    with pytest.raises(RuntimeError, match="was one killed"):
        in_processes(1, os._exit, 3)
    with pytest.raises(ValueError, match="0 processes"):
        in_processes(0, torch.zeros, 1)


@pytest.mark.slow
@pytest.mark.parametrize("begun", [False, True], ids=["while they start", "at work"])
@pytest.mark.parametrize("to_all", [False, True], ids=["to one", "to all"])
def test_an_interrupt_is_never_lost(tmp_path: Path, begun: bool, to_all: bool) -> None:
    here = Path(__file__).parent
    process = subprocess.Popen(
        [sys.executable, str(here / "processes_for_tests.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 100
    while len(list(tmp_path.glob("*.begun"))) < 2 and time.monotonic() < limit:
        time.sleep(0.05)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if not begun and len(children) == 3:  # the two, and one that Python starts
            break
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
    try:
        said = process.communicate(timeout=40)[1]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert not said
    assert {path.name for path in tmp_path.glob("*.heard")} == ({"0.heard"} if begun else set())
