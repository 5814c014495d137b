"""Help is grouped by purpose, has examples that are true, and the shell completes."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from nascence import cli
from nascence.cli.help import EXAMPLES, PANELS
from tests.test_documents_are_true import faults_of_line

UNGROUPED = 8
"""Most options that may stand together."""


def commands(command: object, *path: str) -> Iterator[tuple[tuple[str, ...], object]]:
    below = getattr(command, "commands", {})
    if not below:
        yield path, command
    for name, each in below.items():
        yield from commands(each, *path, name)


ALL = dict(commands(typer.main.get_command(cli.app)))


def shown(*words: str) -> str:
    found = CliRunner().invoke(cli.app, [*words, "--help"], env={"COLUMNS": "200"})
    assert found.exit_code == 0
    return found.stdout


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_examples_that_name_what_exists(path: tuple[str, ...]) -> None:
    examples = EXAMPLES[path[-1]]
    text = shown(*path)
    for line in examples:
        assert line in re.sub(r"\s+", " ", text)
        for part in line.split("|"):
            words = part.split(">")[0].strip()
            assert not list(faults_of_line(words)), words
        assert " ".join(("nascence", *path)) in line
    assert "env var" not in text


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_many_options_are_grouped(path: tuple[str, ...]) -> None:
    command = ALL[path]
    groups: dict[str | None, int] = {}
    for parameter in command.params:
        if parameter.param_type_name == "option":
            panel = getattr(parameter, "rich_help_panel", None)
            groups[panel] = groups.get(panel, 0) + 1
    assert groups.get(None, 0) <= UNGROUPED
    known = {str(parameter.name) for parameter in command.params}
    for panel, names in PANELS.get(path[-1], {}).items():
        if panel != "The run":
            assert not set(names.split()) - known


def test_commands_are_grouped_by_purpose() -> None:
    text = shown()
    places = [text.index(title) for title in ("Design a network", "Use a network", "each on its")]
    assert places == sorted(places)
    assert "NASCENCE_DESIGN_BUDGET" in text
    assert "env var" not in text


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The command under its own name, as an installation makes it."""
    path = tmp_path / "bin" / "nascence"
    path.parent.mkdir()
    path.write_text(f"#!{sys.executable}\nfrom nascence.cli import main\nmain()\n")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("nascence des", ["design"]),
        ("nascence bench ", ["latency", "optimizers"]),
        ("nascence design --bud", ["--budget"]),
        ("nascence search --strategy pc", ["pc-darts"]),
        ("nascence search nb", ["nb201"]),
    ],
)
def test_bash_completes(program: Path, typed: str, offered: list[str]) -> None:
    """The script that ``--show-completion`` prints, in a real shell."""
    words = typed.split(" ")
    listed = " ".join(f"'{word}'" for word in words)
    script = (
        f'eval "$(_NASCENCE_COMPLETE=source_bash nascence)"; COMP_WORDS=({listed}); '
        f"COMP_CWORD={len(words) - 1}; _nascence_completion nascence; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{program.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True, text=True, check=True, env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert sorted(done.stdout.split()) == offered
    assert done.stderr == ""
