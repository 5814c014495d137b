"""One way each to write files, to derive seeds, to restore modes: read from the syntax trees."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "nascence"
NOT_YET = ("optim/",)
"""Rooms that do not stand on the core yet."""


def _name(node: ast.AST) -> str:
    """Dotted name of what is called or read, as far as it is one."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _is_call(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) in names


def writes_files_of_its_own(node: ast.AST) -> bool:
    """Renames or temporary files, whose leftovers, full disks and lines belong to the writer."""
    return _is_call(
        node,
        *("os.replace", "os.rename", "shutil.move", "tempfile.NamedTemporaryFile"),
        *("tempfile.mkstemp", "NamedTemporaryFile", "mkstemp", "torch.save", "save_file"),
    )


def writes_text_or_bytes(node: ast.AST) -> bool:
    """``path.write_text`` and its like, which a kill or a full disk leaves half done."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
        return False
    called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
    if called in ("write_text", "write_bytes"):
        return True
    values = [*node.args, *(keyword.value for keyword in node.keywords)]
    modes = [each.value for each in values if isinstance(each, ast.Constant)]
    return called == "open" and any(
        isinstance(mode, str) and set(mode) <= set("wxab+t") and set(mode) & set("wxa")
        for mode in modes
    )


def unpickles(node: ast.AST) -> bool:
    """Checkpoints are read in one place, which never unpickles and ends in a line."""
    return _is_call(node, "torch.load", "pickle.load", "pickle.loads")


def locks_or_hears_signals(node: ast.AST) -> bool:
    return _is_call(node, "fcntl.flock", "fcntl.lockf", "signal.signal", "signal.pthread_sigmask")


def forks_random_numbers(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute | ast.Name) and _name(node).endswith("fork_rng")


def mixes_seeds(node: ast.AST) -> bool:
    """A digest as a number, or a multiplier of 64 bits."""
    if _is_call(node, "int.from_bytes"):
        return any(_name(each).startswith(("digest", "hashlib")) or
                   (isinstance(each, ast.Attribute) and "digest" in each.attr)
                   for each in ast.walk(node))  # fmt: skip
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value >= 2**40


def restores_modes(node: ast.AST) -> bool:
    """``was = model.training`` and back, or a list of modules with their modes."""
    if isinstance(node, ast.Assign):
        back = any(
            isinstance(target, ast.Attribute) and target.attr == "training"
            for target in node.targets
        )
        if back and not isinstance(node.value, ast.Constant):
            return True
        return isinstance(node.value, ast.Attribute) and node.value.attr == "training"
    return isinstance(node, ast.Tuple) and any(
        isinstance(each, ast.Attribute) and each.attr == "training" for each in node.elts
    )


def names_parameters_anew(node: ast.AST) -> bool:
    """A second alias ``Params``."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(_name(target) == "Params" for target in targets)


# Where each may stand, and why.
ALLOWED: dict[Callable[[ast.AST], bool], tuple[str, ...]] = {
    writes_files_of_its_own: (
        "core/files.py",
        "core/resumable.py",
        "data/cache.py",  # moves whole folders into place
    ),
    writes_text_or_bytes: (
        "core/files.py",
        "data/cache.py",  # fills a folder that is moved into place
        "search/journal.py",  # appends under a lock
    ),
    unpickles: (
        "core/resumable.py",
        "cli/networks.py",  # files from outside, with messages about them
        "testing/evidence.py",  # what it has just pickled, as the two below
        "testing/optimizers.py",
        "testing/scores.py",
    ),
    locks_or_hears_signals: (
        "core/files.py",
        "core/resumable.py",
        "core/processes.py",
        "hypernet/processes.py",
        "search/journal.py",  # waits for its turn, which a folder's lock does not
        "search/claims.py",  # likewise, and sees who has died
    ),
    forks_random_numbers: ("core/randomness.py",),
    mixes_seeds: ("core/randomness.py",),
    restores_modes: ("core/modes.py",),
    names_parameters_anew: ("params.py",),
}
RELAPSES = {
    writes_files_of_its_own: "os.replace(a, b)",
    writes_text_or_bytes: "path.open('wb')",
    unpickles: "torch.load(path)",
    locks_or_hears_signals: "signal.signal(signal.SIGINT, hear)",
    forks_random_numbers: "with torch.random.fork_rng([]): pass",
    mixes_seeds: "int.from_bytes(hashlib.sha256(text).digest()[:8], 'big')",
    restores_modes: "modes = [(module, module.training) for module in model.modules()]",
    names_parameters_anew: "Params = dict[str, Tensor]",
}


def found(rule: Callable[[ast.AST], bool], text: str) -> Iterator[int]:
    """Lines of a file that break a rule."""
    for node in ast.walk(ast.parse(text)):
        if rule(node):
            yield getattr(node, "lineno", 0)


@pytest.mark.parametrize("rule", ALLOWED, ids=lambda rule: rule.__name__)
def test_no_file_relapses(rule: Callable[[ast.AST], bool]) -> None:
    relapses = []
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        if name not in ALLOWED[rule] and not name.startswith(NOT_YET):
            relapses += [f"{name}:{line}" for line in found(rule, path.read_text())]
    assert not relapses, f"{rule.__name__}: {', '.join(relapses)}"


@pytest.mark.parametrize("rule", ALLOWED, ids=lambda rule: rule.__name__)
def test_a_relapse_is_found_and_every_exception_is_needed(
    rule: Callable[[ast.AST], bool],
) -> None:
    assert list(found(rule, RELAPSES[rule]))
    idle = [
        name
        for name in ALLOWED[rule]
        if (SOURCE / name).exists() and not list(found(rule, (SOURCE / name).read_text()))
    ]
    assert not idle
