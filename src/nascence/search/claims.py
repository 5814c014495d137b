"""What the searches that share a study are evaluating, so that none of it is evaluated twice."""

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from nascence.spaces import Architecture

MUTEX = "mutex"
_numbers = count()  # of the claimants of this process


class Claims:
    """A file for each search on a study, locked by its process, with what it is evaluating.

    The system releases the locks of a process that ends, however it ends, and with them its claim.

    Args:
        folder: Holds the files; it is made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / f"{platform.node()}-{os.getpid()}-{next(_numbers)}"
        with self.held():
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make all other searches wait before they look at claims or change theirs."""
        descriptor = os.open(self.folder / MUTEX, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def claim(self, architecture: Architecture = ()) -> None:
        """Claim an architecture, or only a place in the budget; call it in `held`."""
        self._write(json.dumps(architecture).encode())

    def release(self) -> None:
        """Release the claim; call it in `held`."""
        self._write(b"")

    def close(self) -> None:
        """Remove the file."""
        with self.held():
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)

    def others(self) -> list[Architecture]:
        """Return what the other searches claim; call it in `held`.

        A place in the budget, for an architecture that is not known yet, is an empty one.
        """
        found = []
        for path in self.folder.iterdir():
            if path.name in (MUTEX, self.path.name):
                continue
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink()  # its process has ended
            except BlockingIOError:
                if content := os.read(descriptor, 2**16):
                    found.append(tuple(json.loads(content)))
            finally:
                os.close(descriptor)
        return found

    def _write(self, content: bytes) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, content, 0)
