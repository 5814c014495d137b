"""What the documents name exists: commands, options, extras, modules, paths, make targets."""

import argparse
import contextlib
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmarks import ledger
from nascence import cli
from nascence.registry import KINDS

ROOT = Path(__file__).parents[1]
CHANGES = ROOT / "CHANGELOG.md"
"""Names what is gone, too."""
PAGES = sorted(
    {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.md")} - {CHANGES},
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)*)`(?!`)")
FOLDERS = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
PLACE = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./-]*\w")
DOTTED = re.compile(r"(?<![\w/.-])(nascence|benchmarks)((?:\.[A-Za-z_]\w*)+)")
FILE = re.compile(r"(?<![\w/.-])(?:\w+/)+\w+\.py\b")
TREE = re.compile(r"(?<![\w/.*-])([a-z]\w*)/(?=\s|$)")
INDENTED = re.compile(r"^ {4,}\S.*$", re.MULTILINE)
EXTRA = re.compile(r"nascence\[([\w, -]+)\]|extra `([\w-]+)`|`([\w-]+)` (?:an )?extra")
HOMES = (ROOT, ROOT / "src" / "nascence", ROOT / "tests")
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


Command = Any
"""One of click, which some versions of typer bring along under another name."""


@cache
def root_command() -> Command:
    return typer.main.get_command(cli.app)


def options_of(command: Command) -> set[str]:
    found = {"--help"}
    for parameter in command.params:
        found |= {*parameter.opts, *parameter.secondary_opts}
    return found


def all_commands(command: Command) -> Iterator[Command]:
    yield command
    for each in getattr(command, "commands", {}).values():
        yield from all_commands(each)


class Read(Exception):
    """Ends a benchmark when its arguments have been read."""


@cache
def benchmark_options() -> set[str]:
    """Every option of every benchmark."""
    found = set()
    for path in (ROOT / "benchmarks").rglob("*.py"):
        found |= set(OPTION.findall(path.read_text()))
    return found


def faults_of_nascence(words: list[str]) -> Iterator[str]:
    """What a ``nascence`` command line names that does not exist."""
    command: Command = root_command()
    named = ["nascence"]
    for word in words:
        below = getattr(command, "commands", {})
        if below and re.fullmatch(r"[a-z][\w-]*", word):
            if word not in below:
                yield f"{' '.join(named)} has no command {word}"
                return
            command = below[word]
            named.append(word)
        elif word.startswith("--"):
            option = word.split("=")[0]
            if option not in options_of(command):
                yield f"{' '.join(named)} has no option {option}"


def faults_of_benchmark(words: list[str]) -> Iterator[str]:
    """What the command line of a benchmark (module, then arguments) names wrongly."""
    module, *arguments = words
    path = ROOT / (module.replace(".", "/") + ".py")
    if not path.is_file():
        yield f"there is no {module}"
        return
    if not arguments:  # named, not run
        return

    def read(parser: argparse.ArgumentParser, given: list[str]) -> None:
        parser.parse_args(given)
        raise Read

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(None):
        patch.setattr(ledger, "parse", read)
        try:
            importlib.import_module(module).main(arguments)
        except Read:
            return
        except SystemExit:
            yield f"{module} does not take {shlex.join(arguments)}"


def faults_of_line(line: str) -> Iterator[str]:
    """Faults of a line of a shell, or of a span that looks like one."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    words = [word for word in words if "…" not in word and "..." not in word]
    if words[:1] == ["nascence"] and words[1:2] != ["="]:
        yield from faults_of_nascence(words[1:])
    elif words[:2] == ["python", "-m"] and words[2].startswith("benchmarks."):
        yield from faults_of_benchmark(words[2:])
    elif words[:1] == ["make"] and len(words) > 1:
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        yield from (f"make has no target {word}" for word in words[1:2] if word not in targets)
    elif words and words[0].startswith("--"):
        known = set(benchmark_options())
        for command in all_commands(root_command()):
            known |= options_of(command)
        option = words[0].split("=")[0]
        if OPTION.fullmatch(option) and option not in known:
            yield f"nothing has an option {option}"


def faults_of_names(text: str) -> Iterator[str]:
    """Modules and attributes, paths and extras that a text names and that are not there."""
    for package, rest in DOTTED.findall(text):
        if f"{package}{rest}" in KINDS.values():  # a group of entry points
            continue
        if not resolves(package, rest.strip(".").split(".")):
            yield f"there is no {package}{rest}"
    for place in PLACE.findall(text):
        if not (ROOT / place).exists():
            yield f"there is no {place}"
    for place in FILE.findall(text):
        if not any((home / place).exists() for home in HOMES):
            yield f"there is no {place}"


def resolves(package: str, names: list[str]) -> bool:
    """Whether a dotted name can be imported, or is an attribute of what can."""
    if package == "benchmarks":
        path = ROOT.joinpath(package, *names)
        return path.is_dir() or path.with_suffix(".py").is_file()
    found = importlib.import_module(package)
    dotted = package
    for name in names:
        dotted += f".{name}"
        if hasattr(found, name):
            found = getattr(found, name)
            continue
        try:
            found = importlib.import_module(dotted)
        except ImportError:
            return False
    return True


def faults_of_extras(text: str) -> Iterator[str]:
    """Extras of the package that a text names and that pyproject.toml lacks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for groups in EXTRA.findall(text):
        for extra in re.split(r"[,\s]+", next(filter(None, groups))):
            if extra not in project["optional-dependencies"]:
                yield f"there is no extra {extra}"


def faults_of_tree(code: str) -> Iterator[str]:
    """Folders that a drawing of the repository shows and that are not there."""
    for name in TREE.findall(code) if "src/nascence" in code else ():
        if not any((home / name).is_dir() for home in HOMES):
            yield f"there is no folder {name}"


def faults(text: str) -> list[str]:
    """Everything that a page names and that does not exist."""
    found = list(faults_of_extras(text))
    for language, code in FENCE.findall(text):
        if language in ("console", "sh", "bash", "shell"):
            joined = code.replace("\\\n", " ")
            for line in joined.splitlines():
                found += faults_of_line(line.removeprefix("$ "))
        if language in ("", "text"):
            found += faults_of_tree(code)
        found += faults_of_names(code)
    found += faults_of_tree("\n".join(INDENTED.findall(FENCE.sub("", text))))
    for span in SPAN.findall(FENCE.sub("", text)):
        joined = re.sub(r"\s+", " ", span)
        found += faults_of_line(joined)
        found += faults_of_names(joined)
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_exists(page: Path) -> None:
    found = faults(page.read_text())
    assert found == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("`nascence desing photos`", "nascence has no command desing"),
        ("`nascence design photos --bugdet 5m`", "nascence design has no option --bugdet"),
        ("```console\nnascence bench lattency\n```", "nascence bench has no command lattency"),
        ("run with `--no-such-option`", "nothing has an option --no-such-option"),
        ("`make tset`", "make has no target tset"),
        ("`pip install nascence[zo]`", "there is no extra zo"),
        ("the extra `zooo`", "there is no extra zooo"),
        ("`nascence.search.Evolutoin`", "there is no nascence.search.Evolutoin"),
        ("`tests/search/test_none.py`", "there is no tests/search/test_none.py"),
        ("`search/none.py`", "there is no search/none.py"),
        ("```text\nsrc/nascence/\n    serach/   strategies\n```", "there is no folder serach"),
        ("`python -m benchmarks.none`", "there is no benchmarks.none"),
        (
            "`python -m benchmarks.reparam.fuzz --netwroks 3`",
            "benchmarks.reparam.fuzz does not take --netwroks 3",
        ),
    ],
)
def test_a_fault_is_found(text: str, fault: str) -> None:
    assert fault in faults(text)


def test_what_exists_is_no_fault() -> None:
    assert not faults(
        "`nascence design photos --budget 5m`, `--budget`, `make test`, `nascence[zoo]`, "
        "`nascence.search.Evolution`, `tests/conftest.py`, `python -m benchmarks.cli.start_up`"
    )
