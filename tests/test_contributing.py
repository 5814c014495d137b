"""The recipes of CONTRIBUTING, done: a package of a space, a strategy, a score, an optimizer."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
BLOCKS = BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text())
PYTHON = "\n".join(text for kind, text in BLOCKS if kind == "python")
COMMANDS = [
    line
    for kind, text in BLOCKS
    if kind == "console"
    for line in text.splitlines()
    if line.startswith("nascence ")
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What installing the package would put into a folder of Python's path."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "my_package.py").write_text(PYTHON)
    project = tomllib.loads(next(text for kind, text in BLOCKS if kind == "toml"))["project"]
    facts = folder / f"my_package-{project['version']}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (facts / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def run(site: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_each_works_by_name(command: str, site: Path, tmp_path: Path) -> None:
    _, *words = shlex.split(command)
    done = run(site, tmp_path, "-m", "nascence.cli", *words)
    assert done.returncode == 0, done.stderr
    assert not done.stderr.count("Traceback")


def test_each_keeps_its_contract(site: Path, tmp_path: Path) -> None:
    code = "import my_package; my_package.test_all_keep_their_contracts()"
    done = run(site, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr


def test_messages_name_them(site: Path, tmp_path: Path) -> None:
    words = ("search", "nothing", "--strategy", "climb")
    done = run(site, tmp_path, "-m", "nascence.cli", *words)
    assert done.returncode == 2
    assert "two-layers" in done.stderr


def test_a_broken_entry_point_is_one_line_and_the_rest_works(site: Path, tmp_path: Path) -> None:
    facts = tmp_path / "broken-0.1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 0.1\n")
    (facts / "entry_points.txt").write_text("[nascence.spaces]\nhalf = nowhere:Half\n")
    command = ("search", "half", "--budget", "1", "--json", "--quiet")
    done = run(site, tmp_path, "-m", "nascence.cli", *command)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "'half' of the package broken" in done.stderr
    command = ("search", "nb201", "--budget", "2", "--json", "--quiet", "--out", "study")
    done = run(site, tmp_path, "-m", "nascence.cli", *command)
    assert done.returncode == 0, done.stderr


def test_a_name_that_clashes_is_one_line(site: Path, tmp_path: Path) -> None:
    facts = tmp_path / "twin-0.1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: twin\nVersion: 0.1\n")
    (facts / "entry_points.txt").write_text("[nascence.spaces]\nnb201 = my_package:TwoLayers\n")
    command = ("search", "nb201", "--evaluator", "naswot", "--budget", "1", "--quiet")
    done = run(site, tmp_path, "-m", "nascence.cli", *command)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "twin" in done.stderr
