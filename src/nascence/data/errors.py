"""Errors in reading data: one line that says what was found, what is allowed and what to do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


class DataError(ValueError):
    """Data that cannot be used; the message is one line of valid text, whatever it quotes."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class MissingDataError(DataError, FileNotFoundError):
    """A path that does not exist."""


def printable(name: str | os.PathLike[str]) -> str:
    """A path as one line of valid text, however its bytes were chosen."""
    text = os.fspath(name).encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else "?" for letter in text)


@contextmanager
def foreign(what: str, remedy: str) -> Iterator[None]:
    """Turn any error that is raised while reading a file from outside into one line.

    A damaged file may raise anything: the readers of zip, tar, NumPy, Arrow and Pillow each have
    kinds of their own, and some raise ``KeyError``, ``RecursionError`` or ``MemoryError``.

    Args:
        what: Of the line: ``"x.npz is damaged"``.
        remedy: What to do: ``"write it again"``.

    Raises:
        DataError: Anything but a ``DataError`` or ``PermissionError`` was raised, which pass.
    """
    try:
        yield
    except (DataError, PermissionError):
        raise
    except Exception as error:
        line = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
        raise DataError(f"{what} ({printable(line)[:200]}); {remedy}") from error
