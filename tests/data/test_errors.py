"""Errors are one line, whatever the path."""

import os
from pathlib import Path

from nascence.data import DataError, MissingDataError
from nascence.data.errors import printable


def test_missing_data_is_both_kinds_of_error() -> None:
    error = MissingDataError("there is nothing at here")
    assert isinstance(error, DataError)
    assert isinstance(error, FileNotFoundError)
    assert str(error) == "there is nothing at here"


def test_any_path_is_one_line_of_valid_text() -> None:
    name = os.fsdecode(b"a\nb\xff\x1b[31m.png")
    shown = printable(Path(name))
    assert "\n" not in shown
    assert "\x1b" not in shown
    shown.encode("utf-8")
    assert printable("größe/图.png") == "größe/图.png"
