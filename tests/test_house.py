"""The house: no circle among files, no room and no file that has grown too large."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "nascence"
MOST_LINES = 350
MOST_OF_A_ROOM = 0.12


@cache
def sources() -> dict[str, Path]:
    """Every file by its dotted name."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        pieces = ["nascence", *path.relative_to(SOURCE).with_suffix("").parts]
        found[".".join(pieces).removesuffix(".__init__")] = path
    return found


@cache
def handed_on(module: str) -> dict[str, str]:
    """The names that a package's face takes from its files, each with its file."""
    found = {}
    for node in ast.parse(sources()[module].read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module in sources():
            for alias in node.names:
                found[alias.asname or alias.name] = node.module
    return found


def home(module: str, name: str) -> str | None:
    """The file in which a name that is imported from a module is defined."""
    if f"{module}.{name}" in sources():
        return f"{module}.{name}"
    if module not in sources():
        return None
    if sources()[module].name == "__init__.py" and name in handed_on(module):
        return home(handed_on(module)[name], name)
    return module


def imports(module: str) -> set[str]:
    """The files that a file imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse(sources()[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {home(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in sources()}
    return {each for each in found if each and each != module}


def circles() -> list[list[str]]:
    """Groups of files that reach one another."""
    arrows = {
        module: imports(module)
        for module, path in sources().items()
        if path.name != "__init__.py" or module.count(".") > 1
    }
    reach: dict[str, set[str]] = {}
    for start in arrows:
        seen, waiting = set(), list(arrows[start])
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting += arrows.get(current, ())
        reach[start] = seen
    groups = {
        tuple(sorted({start, *(each for each in reach[start] if start in reach.get(each, ()))}))
        for start in arrows
        if start in reach[start]
    }
    return [list(group) for group in sorted(groups)]


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_circle_among_files() -> None:
    assert not circles(), "\n".join(" <-> ".join(group) for group in circles())


def test_no_room_is_larger_than_an_eighth() -> None:
    rooms: Counter[str] = Counter()
    for path in sources().values():
        rooms[path.relative_to(SOURCE).parts[0]] += lines(path)
    (name, most), *_ = rooms.most_common(1)
    share = most / rooms.total()
    assert share <= MOST_OF_A_ROOM, f"{name} has {100 * share:.1f} % of {rooms.total()} lines"


def test_no_file_is_too_long() -> None:
    long = {str(path): lines(path) for path in sources().values() if lines(path) > MOST_LINES}
    assert not long, long


def test_every_file_has_a_test_of_its_name() -> None:
    """A test file, or a folder of them, mirrors each source file; faces have none."""
    tests = {path.name.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    names = {path.name for path in sources().values() if path.name != "__init__.py"}
    assert len(names - tests) <= len(names) // 8, sorted(names - tests)
