"""The file that studies are kept in: whole lines, even if a process dies while writing one."""

import importlib.util
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

SYNC_SECONDS = 1.0
"""Time after which written lines are forced to the disk."""


def open_journal(path: Path) -> JournalFileBackend:
    """Open a journal; it is made if it does not exist, and mended if it was cut off.

    Raises:
        ValueError: a file of another kind, which stays as it is.
        IsADirectoryError: the path is a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it for the journal")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    if importlib.util.find_spec("fcntl") is None:
        _mend(path)
        return JournalFileBackend(str(path))
    lock: Any = _KernelLock(path)
    with lock:
        _mend(path)
    return _Journal(path, lock)


class _Journal(JournalFileBackend):
    """Optuna's journal, forced to the disk once a second instead of after every line.

    The system keeps what a killed process has written; a power failure can take the last second.
    On a disk of ten milliseconds a write, 500 trials would wait for it for five seconds.
    """

    def __init__(self, path: Path, lock: Any) -> None:
        super().__init__(str(path), lock_obj=lock)
        self.path, self._held = path, lock
        self._synced = 0.0

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, one line each."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self._held, open(self.path, "ab") as file:
            file.write(lines.encode())
            file.flush()
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(file.fileno())
                self._synced = time.monotonic()


def _mend(path: Path) -> None:
    """Cut off an unfinished last line, having seen that the others are those of a journal."""
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    for number, line in enumerate(content[:end].splitlines(), 1):
        entry = None
        with suppress(ValueError, RecursionError):
            entry = json.loads(line)
        if not isinstance(entry, dict) or "op_code" not in entry:
            raise ValueError(f"{path} is not an Optuna journal: line {number} is not an entry")
    if end < len(content):
        if not content[end:].startswith(b'{"op_code":'[: len(content) - end]):
            raise ValueError(f"{path} is not an Optuna journal")
        os.truncate(path, end)


class _KernelLock:
    """A lock on a journal, which the system releases when its process dies.

    Those of Optuna are files: one left by a killed process blocks the next for half a minute.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self) -> bool:
        import fcntl

        self._descriptor = os.open(self._path, os.O_RDWR)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
