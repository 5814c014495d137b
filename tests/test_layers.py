"""Imports point down, from the command line to the core; siblings never import each other."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "nascence"
CORE = {
    "core",
    "params",
    "task",
    "training",
    "recalibration",
    "data",
    "graph",
    "export",
    "onnx_files",
    "onnx_session",
    "registry",
}
SIBLINGS = {"models", "implicit", "detect", "reparam", "spaces", "metrics", "hypernet"}
SIBLINGS |= {"optim", "tasks"}
LEVELS = {
    **dict.fromkeys(CORE, 0),
    **dict.fromkeys(SIBLINGS, 1),
    **dict.fromkeys(("search", "folding"), 2),
    "supernets": 3,
    **dict.fromkeys(("latency", "controllers"), 4),
    "gradient": 5,
    "gan": 6,
    "jobs": 7,
    "report": 6,
    **dict.fromkeys(("design", "testing"), 8),
    "inference": 9,
    **dict.fromkeys(("cli", "hub"), 10),
}
BARE = {"core", "hypernet", "optim", "tasks", "spaces", "graph", "training", "data"}
ALLOWED_IN_BARE = {"torch", "numpy", "PIL", "pyarrow", "safetensors", "nascence"}


def part_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Absolute dotted names of everything that a file imports, also inside functions."""
    package = ["nascence", *path.relative_to(SOURCE).parts[:-1]]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*stem, *(node.module or "").split(".")]).strip(".")
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def sources() -> list[Path]:
    return [path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py"]


def test_every_part_has_a_layer() -> None:
    known = {*LEVELS, "weights"}
    assert {part_of(path) for path in sources()} <= known


def test_imports_point_down() -> None:
    wrong = []
    for path in sources():
        part = part_of(path)
        for name in imports_of(path):
            pieces = name.split(".")
            if pieces[0] != "nascence" or len(pieces) < 2 or pieces[1] == part:
                continue
            target = pieces[1]
            if target not in LEVELS:
                continue
            same_layer = LEVELS[target] == LEVELS[part] and target in SIBLINGS
            if LEVELS[target] > LEVELS[part] or same_layer:
                wrong.append(f"{path.relative_to(SOURCE)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_bare_parts_need_only_the_bare_packages() -> None:
    import sys

    wrong = []
    for path in sources():
        if part_of(path) not in BARE:
            continue
        roots = {name.split(".")[0] for name in imports_of(path)}
        extra = roots - ALLOWED_IN_BARE - set(sys.stdlib_module_names)
        if extra:
            wrong.append(f"{path.relative_to(SOURCE)} imports {sorted(extra)}")
    assert not wrong, "\n".join(wrong)


def test_no_catch_all_module_names() -> None:
    banned = {"utils", "helpers", "common", "base", "misc"}
    assert not [path for path in sources() if path.stem in banned]
