"""The pages of results are what the files of results make, and those files hold together."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import pages

FILES = sorted(pages.RESULTS.rglob("*.json"))


def test_every_page_is_what_the_files_make() -> None:
    stale = [
        str(page.relative_to(pages.ROOT))
        for page, text in pages.pages().items()
        if not page.exists() or page.read_text() != text
    ]
    assert not stale, f"{stale}: run make ledger"


def test_no_page_is_without_files() -> None:
    written = {path.stem for path in pages.PAGES.glob("*.md")} - {"notes"}
    assert written == set(pages.AREAS)
    assert {path.parent.name for path in FILES} == set(pages.AREAS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_file_holds_together(path: Path) -> None:
    result: dict[str, Any] = json.loads(path.read_text())
    assert not pages.faults(result)
    assert result["machine"]
    assert result["versions"]
    assert {column.get("better", "") for t in result["tables"] for column in t["columns"]} <= {
        "", "higher", "lower",
    }  # fmt: skip
    assert all({"title", "columns", "rows"} == set(table) for table in result["tables"])


def test_a_headline_must_stand_in_a_table() -> None:
    result = {
        "tables": [{"title": "t", "columns": [{"name": "a"}], "rows": [["1.5 ± 0.1"]]}],
        "headlines": [{"what": "w", "figure": "1.5 ± 0.2"}],
    }
    assert pages.faults(result) == ["the headline's 0.2 is in no table: w"]
    result["headlines"] = [{"what": "w", "figure": "1.5 ± 0.1"}]
    assert pages.faults(result) == []


def test_a_row_must_have_a_cell_for_each_column() -> None:
    table = {"title": "t", "columns": [{"name": "a"}, {"name": "b"}], "rows": [["1"]]}
    assert pages.faults({"tables": [table]}) == ["t: a row has 1 cells for 2 columns"]


def test_the_index_has_about_thirty_figures() -> None:
    rows = [line for line in pages.index_page(pages.read()).splitlines() if line.startswith("|")]
    assert 20 <= len(rows) - 2 <= 32
