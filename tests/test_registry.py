"""Names: complete, loadable, held to by help and documents, open to other packages."""

import re
import subprocess
import sys
import time
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nascence import cli, registry
from nascence.registry import Entry, RegistrationError

ROOT = Path(__file__).parents[1]
PAGES = {
    "space": "spaces.md",
    "table": "search.md",
    "strategy": "search.md",
    "gradient strategy": "gradient.md",
    "once-for-all strategy": "once_for_all.md",
    "gan strategy": "gan.md",
    "evaluator": "search.md",
    "score": "scores.md",
    "optimizer": "optimizers.md",
    "solver": "implicit.md",
}


@pytest.mark.parametrize("entry", registry.OWN, ids=lambda entry: f"{entry.kind} {entry.name}")
def test_every_entry_loads_and_stands_in_its_page(entry: Entry) -> None:
    assert callable(entry.load())
    assert entry.line
    assert not entry.line.endswith(".")
    page = (ROOT / "docs" / PAGES[entry.kind]).read_text()
    attribute = entry.target.partition(":")[2].partition(".")[0]
    assert re.search(rf"(?<![\w-])({re.escape(entry.name)}|{attribute})(?![\w-])", page)


def test_the_tables_of_the_documents_are_those_of_the_registry() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        text = page.read_text()
        assert with_tables(text) == text, f"run python {Path(__file__).relative_to(ROOT)}"


def with_tables(text: str) -> str:
    """Return a page with new tables between ``<!-- registry: KIND -->`` and ``<!-- end -->``."""
    return re.sub(
        r"(<!-- registry: ([\w -]+) -->\n).*?(?=<!-- end -->)",
        lambda found: found[1] + table(found[2]),
        text,
        flags=re.DOTALL,
    )


def table(kind: str) -> str:
    rows = [f"| {each.name} | {each.line} | {each.paper} |" for each in registry.OWN if
            each.kind == kind]  # fmt: skip
    return "\n".join(["| name | what | paper |", "| --- | --- | --- |", *rows]) + "\n"


def test_names_are_unique_and_sorted() -> None:
    for kind in registry.KINDS:
        own = [entry.name for entry in registry.OWN if entry.kind == kind]
        assert len(set(own)) == len(own)
        assert list(registry.names(kind)) == sorted(own)


def test_help_lists_every_name_without_torch_in_half_a_second() -> None:
    shown = CliRunner().invoke(cli.app, ["search", "--help"], env={"COLUMNS": "200"}).stdout
    for name in registry.names("space", "table", *registry.STRATEGIES, "evaluator"):
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", shown), name
    code = "import sys, nascence.cli; print('torch' in sys.modules, 'optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_solvers_are_those_of_their_room() -> None:
    from nascence.implicit.backward import SOLVERS

    assert set(registry.names("solver")) == set(SOLVERS)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch):
    """Let strangers register things, as ``name, value, group``."""

    def register(*points: tuple[str, str, str]) -> None:
        found = EntryPoints([EntryPoint(*point) for point in points])
        monkeypatch.setattr(registry, "_entry_points", lambda: found)
        registry._registered.cache_clear()

    yield register
    registry._registered.cache_clear()


def test_a_strangers_strategy_works_by_name(registered, tmp_path: Path) -> None:
    registered(("mine", "nascence.search:LocalSearch", "nascence.strategies"))
    words = ["search", "nb201", "--strategy", "mine", "--budget", "5", "--out", str(tmp_path), "-q"]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    assert "Best of 5" in result.stdout


def test_a_strangers_space_and_score_work_by_name(registered, tmp_path: Path) -> None:
    registered(
        ("cells", "nascence.spaces:NB201", "nascence.spaces"),
        ("size", "nascence.metrics:parameters", "nascence.scores"),
    )
    words = ["search", "cells", "--width", "4", "--cells", "1", "--evaluator", "size+macs"]
    words += ["--strategy", "random", "--budget", "3", "--out", str(tmp_path), "-q"]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output


def test_a_strangers_optimizer_works_by_name(registered, tmp_path: Path) -> None:
    registered(("mine", "nascence.optim:AdamW", "nascence.optimizers"))
    words = ["bench", "optimizers", "--optimizers", "mine", "--probe", "--steps", "3"]
    result = CliRunner().invoke(cli.app, [*words, "--out", str(tmp_path), "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert '"mine"' in result.stdout


def test_a_strangers_solver_works_by_name(registered) -> None:
    import torch

    from nascence.implicit import fixed_point

    registered(("mine", "nascence.implicit:picard", "nascence.solvers"))
    found = fixed_point(lambda z: 0.5 * z + 1, torch.zeros(2, 3), solver="mine").state
    assert torch.allclose(found, torch.full((2, 3), 2.0), atol=1e-3)


def test_what_does_not_import_is_named_and_the_rest_works(registered, tmp_path: Path) -> None:
    registered(("broken", "no_such_package:Space", "nascence.spaces"))
    with pytest.raises(
        RegistrationError, match=r"space 'broken' .* no_such_package:Space .*No mod"
    ):
        registry.find("broken", "space").load()
    result = CliRunner().invoke(cli.app, ["search", "broken", "--out", str(tmp_path / "run"), "-q"])
    assert result.exit_code == cli.USAGE
    assert len(result.stderr.strip().splitlines()) == 1
    assert registry.find("nb201", "space").load() is not None
    assert "broken" in registry.names("space")


def test_a_name_that_clashes_is_one_line(registered) -> None:
    registered(("tpe", "theirs:Better", "nascence.strategies"))
    with pytest.raises(
        RegistrationError, match=r"'tpe' is registered by .*TPE.* and theirs:Better"
    ):
        registry.find("tpe", *registry.STRATEGIES)
    assert registry.find("random", *registry.STRATEGIES).package == "nascence"


def test_unknown_names_are_refused_with_the_known() -> None:
    with pytest.raises(ValueError, match=r"there is no solver 'newton'; use one of anderson, "):
        registry.find("newton", "solver")


def test_entry_points_are_read_in_a_moment() -> None:
    registry._registered.cache_clear()
    started = time.process_time()
    registry.names(*registry.KINDS)
    assert time.process_time() - started < 0.5


if __name__ == "__main__":
    for page in (ROOT / "docs").glob("*.md"):
        page.write_text(with_tables(page.read_text()))
