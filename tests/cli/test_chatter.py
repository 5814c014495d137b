"""Nothing of a library is seen: stderr is empty unless a command has something to say."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.inference.conftest import make_photos

DESIGN = (
    *("design", "photos", "--trials", "2", "--steps", "2", "--size", "8", "--no-baseline"),
    *("--max-params", "20000", "--out", "run", "--quiet"),
)


def stderr_of(folder: Path, *words: str) -> str:
    """What a command says beside its result, in a process with Python's own settings."""
    command = [sys.executable, "-m", "nascence.cli", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
def test_design_and_what_uses_its_network(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos")
    assert stderr_of(tmp_path, *DESIGN) == ""
    assert stderr_of(tmp_path, "resume", "run", "--quiet") == ""
    assert stderr_of(tmp_path, "classify", "run", "photos") == ""
    assert stderr_of(tmp_path, "evaluate", "run", "photos", "--quiet") == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("fold", "resnet20", "--shape", "1,3,32,32", "--onnx", "x.onnx"),
        ("predict", "resnet20", "--size", "8", "--images", "20"),
        ("search", "nb201", "--budget", "2", "--images", "4", "--quiet"),
        ("search", "nb201", "--strategy", "tpe", "--budget", "3", "--quiet"),
    ],
    ids=lambda words: "-".join(words[:4]),
)
def test_parts_on_their_own(words: tuple[str, ...], tmp_path: Path) -> None:
    assert stderr_of(tmp_path, *words) == ""
