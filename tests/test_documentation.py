"""Every command and every Python example of the README and the guide is run."""

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nascence import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHORT = {
    "design": ["--trials", "3", "--steps", "3", "--size", "8", "--max-params", "20000", "--quiet"],
    "resume": ["--quiet"],
    "fold": ["--shape", "1,3,32,32"],
}


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, code) of every fenced block of a language."""
    found = []
    for page in PAGES:
        for code in re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL):
            found.append((page.name, code))
    return found


def commands() -> list[tuple[str, str]]:
    return [
        (page, line.split("#")[0].strip())
        for page, code in blocks("console")
        for line in code.splitlines()
        if line.strip() and not line.startswith("#")
    ]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, and the first run that the README makes of them."""
    root = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    for name, channel in (("cats", 0), ("dogs", 2)):
        (root / "photos" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 80, (12, 12, 3), dtype=np.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(root / "photos" / name / f"{index}.png")
    return root


def test_there_are_examples() -> None:
    assert len(commands()) >= 4
    assert blocks("python")


def test_make_targets_exist() -> None:
    for _, line in commands():
        words = shlex.split(line)
        if words[0] == "make":
            subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)


def test_commands_and_examples_run(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in the order of the pages, then the examples, which read what commands made."""
    monkeypatch.chdir(workplace)
    for page, line in commands():
        words = shlex.split(line)
        if words[0] == "make":
            continue
        if words[0] == "python":
            assert (ROOT / words[1]).is_file(), f"{page}: {line}"
            continue
        assert words[0] == "nascence", f"{page}: {line}"
        result = CliRunner().invoke(cli.app, [*words[1:], *SHORT.get(words[1], [])])
        assert result.exit_code == 0, (page, line, result.output, result.exception)
    scopes: dict[str, dict[str, object]] = {}
    for page, code in blocks("python"):  # a page is read from its top: names stay known
        exec(compile(code, page, "exec"), scopes.setdefault(page, {"__name__": "example"}))
