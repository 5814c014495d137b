"""Every command and every Python example of the README and the documents is run."""

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nascence import cli
from nascence.inference import browser_runtime

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SLOW = ("README", "gan", "mobile", "gradient", "once_for_all", "fold", "guide", "use")
SHORT = {
    "design": ["--trials", "3", "--steps", "3", "--size", "8", "--max-params", "20000", "--quiet"],
    "resume": ["--quiet"],
    "fold": ["--shape", "1,3,32,32"],
    "try": ["--no-serve"],
}


def blocks(page: Path, language: str) -> list[str]:
    """Every fenced block of a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The words of every command of a page."""
    lines = [line for code in blocks(page, "console") for line in code.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photos, in which the commands and the examples of a page are run."""
    kept = tmp_path / "cache" / f"onnxruntime-web-{browser_runtime.VERSION}"
    kept.mkdir(parents=True)  # as if ONNX Runtime Web had been fetched
    for name in (browser_runtime.SCRIPT, browser_runtime.BINARY, browser_runtime.LICENCE):
        (kept / name).write_text(name)
    monkeypatch.setenv("NASCENCE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name, channel in (("cats", 0), ("dogs", 2)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 80, (12, 12, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    return tmp_path


def test_there_are_examples() -> None:
    names = [page for page in PAGES if blocks(page, "console") or blocks(page, "python")]
    assert len(names) > 15
    assert PAGES[0] in names


def test_make_targets_exist() -> None:
    for words in (words for page in PAGES for words in commands(page)):
        if words[0] == "make":
            subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.slow] if page.stem in SLOW else [])
        for page in PAGES
    ],
)
def test_commands_and_examples_run(
    page: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of a page in their order, then its examples, which read what those made."""
    monkeypatch.chdir(workplace)
    for words in commands(page):
        if words[0] in ("make", "python"):  # those are checked in test_documents_are_true.py
            continue
        assert words[0] == "nascence"
        result = CliRunner().invoke(cli.app, [*words[1:], *SHORT.get(words[1], [])])
        assert result.exit_code == 0, (words, result.output, result.exception)
    scope: dict[str, object] = {"__name__": "example"}
    for code in blocks(page, "python"):  # a page is read from its top: names stay known
        exec(compile(code, page.name, "exec"), scope)
