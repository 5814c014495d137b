"""Errors of reading data: one line that says what was got, what is allowed, what to do."""

import os


class DataError(ValueError):
    """Data that cannot be used; the message is one line."""


class MissingDataError(DataError, FileNotFoundError):
    """A path that does not exist."""


def printable(name: str | os.PathLike[str]) -> str:
    """A path as one line of valid text, however its bytes were chosen."""
    text = os.fspath(name).encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else "?" for letter in text)
