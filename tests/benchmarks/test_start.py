"""Every benchmark starts: it is imported and prints its help."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "benchmarks"
MODULES = [
    ".".join(("benchmarks", *path.relative_to(ROOT).with_suffix("").parts))
    for path in sorted(ROOT.rglob("*.py"))
]


def benchmarks() -> list[str]:
    """Modules that are run: those with a function ``main``."""
    paths = [ROOT.parent / (name.replace(".", "/") + ".py") for name in MODULES]
    return [
        name for name, path in zip(MODULES, paths, strict=True)
        if "\ndef main(" in path.read_text()
    ]  # fmt: skip


@pytest.mark.parametrize("name", benchmarks())
def test_prints_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert f"python -m {name}" in printed  # the usage, in its docstring
    assert "--json" in printed


def test_there_are_benchmarks_in_every_folder() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "_."}
    folders -= {"results"}
    assert len(benchmarks()) > 40
    assert {name.split(".")[1] for name in benchmarks()} == folders | {"pages"} - {"pages"}
