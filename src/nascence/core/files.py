"""Files that are complete or absent, and folders in which one process works at a time.

Nothing here needs torch.
"""

import fcntl
import glob
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = "run.lock"


class WriteError(OSError):
    """A file cannot be written; what was there before is kept."""


class LockedError(OSError):
    """Another process is working in a folder."""


def write_whole(
    path: str | os.PathLike[str], content: bytes | memoryview, *, parents: bool = True
) -> None:
    """Write a file whole or not at all: what stood at ``path`` stays until the new one is safe.

    The content goes to a hidden file beside ``path``, is forced to the disk and then renamed. A
    process that is killed can leave the hidden file behind; the next one to write ``path`` on the
    same machine removes it, and `is_unused` does not count it.

    Args:
        path: The file.
        content: All of it.
        parents: Whether to make the folder if it is missing.

    Raises:
        WriteError: The disk is full, or the folder is missing or cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.part")
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        _remove_parts(path)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _unwritten(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def append_line(path: str | os.PathLike[str], line: str) -> None:
    """Append a line to a text file; if the process is killed, the line may be cut short.

    Raises:
        WriteError: The disk is full, or the folder is missing or cannot be written.
    """
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise _unwritten(Path(path), error) from error


class DamagedFileError(ValueError):
    """A file holds something else than what is read from it."""


@contextmanager
def understood(
    path: str | os.PathLike[str],
    *,
    remedy: str = "take another copy of it",
    error: type[Exception] = DamagedFileError,
) -> Iterator[None]:
    """Raise one kind of error for whatever the content of a damaged file makes its reader raise.

    Only what reads the file belongs in the block: a fault of the program would be laid on the file.
    Where the file cannot be opened, OSError passes.

    Args:
        path: The file, for the message.
        remedy: What to do about it.
        error: What to raise; an error of that kind passes as it is.
    """
    try:
        yield
    except error:
        raise
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        RuntimeError,  # RecursionError, too
        TypeError,
        ValueError,
    ) as reason:
        said = next(iter(str(reason).splitlines()), "")[:200] or "no more"
        raise error(
            f"{path} is damaged or of another kind or version ({type(reason).__name__}: {said}); "
            f"{remedy}"
        ) from reason


def is_unused(folder: Path) -> bool:
    """Whether a folder is missing or holds nothing but a lock and what a killed writer left."""
    if not folder.exists():
        return True
    return all(entry.name == LOCK or entry.name.endswith(".part") for entry in folder.iterdir())


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Let one process at a time work in ``folder``, which is made if it is missing.

    The system releases the lock when the process ends, however it ends, and the file of the lock
    goes with it unless the process was killed. To lock a folder twice is refused in one process,
    too.

    Args:
        folder: What to lock.
        shared: Let others in that ask for a shared lock, too.

    Raises:
        LockedError: It is locked already.
        WriteError: The folder cannot be made or locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _acquired(folder / LOCK, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    except BlockingIOError as error:
        raise LockedError(
            f"another process is working on {folder}; wait for it, stop it, or choose another"
        ) from error
    except OSError as error:
        raise WriteError(
            f"cannot use the folder {folder}: {error.strerror or error}; choose another"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # as where others share the lock
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / LOCK).unlink()
        os.close(descriptor)


def _acquired(path: Path, kind: int) -> int:
    """A descriptor of the file, which exists and is locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder removed it in the meantime


def _unwritten(path: Path, error: OSError) -> WriteError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        remedy = f"there is no folder {path.parent}; make it or choose another"
    else:
        remedy = "free some space or choose another folder, what was there before is kept"
    return WriteError(f"cannot write {path}: {error.strerror or error}; {remedy}")


def _remove_parts(path: Path) -> None:
    """Remove partial files of ``path`` that killed processes of this machine left."""
    start = f".{path.name}.{platform.node()}."
    for part in path.parent.glob(f"{glob.escape(start)}*.part"):
        number = part.name[len(start) : -len(".part")]
        if number.isdigit() and not _alive(int(number)):
            part.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True
