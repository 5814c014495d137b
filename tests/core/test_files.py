"""Writing whole, locking, and what kills leave behind."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nascence.core.files import (
    DamagedFileError,
    LockedError,
    WriteError,
    append_line,
    is_unused,
    locked,
    understood,
    write_whole,
)

KILLED_WHILE_WRITING = """
import os, signal, sys
from nascence.core.files import write_whole
def hook(event, arguments):
    if event == "os.rename":
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
write_whole(sys.argv[1], b"new")
"""
HOLD = """
import sys, time
from pathlib import Path
from nascence.core.files import locked
with locked(Path(sys.argv[1]), shared="shared" in sys.argv):
    print("held", flush=True)
    time.sleep(60)
"""


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.fixture
def holder(request: pytest.FixtureRequest, tmp_path: Path):
    """A process that holds a lock on ``tmp_path``."""
    process = python(HOLD, str(tmp_path), *getattr(request, "param", ()))
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b", b"one")
    write_whole(tmp_path / "a" / "b", memoryview(b"two"))
    assert (tmp_path / "a" / "b").read_bytes() == b"two"
    assert os.listdir(tmp_path / "a") == ["b"]


def test_a_missing_folder_is_one_line_where_it_is_not_to_be_made(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"there is no folder .*/a; make it") as caught:
        write_whole(tmp_path / "a" / "b", b"one", parents=False)
    assert "\n" not in str(caught.value)
    assert is_unused(tmp_path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO])
def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch, code: int) -> None:
    write_whole(tmp_path / "a", b"one")

    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteError, match=f"{os.strerror(code)}; free some space"):
        write_whole(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["a"]


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a", b"one")
    assert not os.listdir(tmp_path)


def test_what_a_kill_leaves_is_not_counted_and_removed_by_the_next_writer(tmp_path: Path) -> None:
    process = python(KILLED_WHILE_WRITING, str(tmp_path / "a"))
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    assert is_unused(tmp_path)
    write_whole(tmp_path / "a", b"whole")
    assert os.listdir(tmp_path) == ["a"]
    assert not is_unused(tmp_path)


def test_lines_are_appended(tmp_path: Path) -> None:
    append_line(tmp_path / "log", "one")
    append_line(tmp_path / "log", "two")
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
    with pytest.raises(WriteError, match="there is no folder"):
        append_line(tmp_path / "none" / "log", "one")


def test_a_locked_folder_is_refused_until_its_holder_dies(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    assert is_unused(tmp_path)
    for shared in (False, True):
        with (
            pytest.raises(LockedError, match="another process is working on"),
            locked(tmp_path, shared=shared),
        ):
            pass
    holder.kill()
    holder.wait()
    with locked(tmp_path):
        with pytest.raises(LockedError), locked(tmp_path):
            pass
        assert os.listdir(tmp_path) == ["run.lock"]
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("holder", [("shared",)], indirect=True)
def test_shared_locks_exclude_exclusive_ones_alone(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with locked(tmp_path, shared=True):
        pass
    assert os.listdir(tmp_path) == ["run.lock"]
    with pytest.raises(LockedError), locked(tmp_path):
        pass


COUNT = """
import sys, time
from pathlib import Path
from nascence.core.files import LockedError, locked
folder, done = Path(sys.argv[1]), 0
while done < 200:
    try:
        with locked(folder):
            number = folder / "number"
            value = int(number.read_text())
            number.write_text("damaged")
            number.write_text(str(value + 1))
            done += 1
    except LockedError:
        time.sleep(0.0005)
"""


def test_no_two_processes_are_inside_at_once(tmp_path: Path) -> None:
    """Each adds 200 to a number in ways that only one process at a time can."""
    (tmp_path / "number").write_text("0")
    processes = [python(COUNT, str(tmp_path)) for _ in range(3)]
    for process in processes:
        process.communicate()
    assert (tmp_path / "number").read_text() == "600"


def test_an_error_inside_releases_the_lock_and_comes_through(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError, match="of its own"), locked(tmp_path):
        raise BlockingIOError("of its own")
    process = python(HOLD, str(tmp_path))
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.communicate()


def test_a_file_in_the_place_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="cannot use the folder"), locked(tmp_path / "file"):
        pass


@pytest.mark.parametrize(
    "read",
    [
        lambda: {}["name"],
        lambda: int("words"),
        lambda: None + 1,
        lambda: 1 / 0,
        lambda: json.loads("[" * 100_000),
        lambda: b"\xff".decode(),
        lambda: [].missing,
    ],
)
def test_what_a_damaged_file_makes_a_reader_raise_is_one_line(read) -> None:
    with (
        pytest.raises(DamagedFileError, match=r"^a\.json is damaged.*; burn it$") as caught,
        understood("a.json", remedy="burn it"),
    ):
        read()
    assert "\n" not in str(caught.value)


def test_what_is_no_fault_of_the_file_passes() -> None:
    for error in (FileNotFoundError, KeyboardInterrupt, NotImplementedError):
        wanted = DamagedFileError if error is NotImplementedError else error
        with pytest.raises(wanted), understood("a.json"):
            raise error
    with pytest.raises(LockedError, match="mine"), understood("a.json", error=LockedError):
        raise LockedError("mine")
