"""Every benchmark starts: it is imported and prints its help."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").rglob("*.py")
    if "\ndef main(" in path.read_text()
)


@pytest.mark.parametrize("name", MODULES)
def test_prints_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert f"python -m {name}" in printed  # how to start it, in its docstring
    assert "--json" in printed


def test_folders_are_rooms_of_the_package() -> None:
    rooms = {path.name for path in (ROOT / "src" / "nascence").iterdir() if path.is_dir()}
    folders = {name.split(".")[1] for name in MODULES if name.count(".") == 2}
    assert len(MODULES) > 40
    assert folders <= {*rooms, "docs", "reliability"}  # which concern all rooms
