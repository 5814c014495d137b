"""What benchmarks share: arguments, kept rows, timing, tables and their JSON."""

import argparse
import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import ledger


def options(words: list[str]) -> argparse.Namespace:
    parser = ledger.parser("A benchmark.\n\nHow it is run.")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    return ledger.parse(parser, words)


def test_command_leaves_out_json_and_folders_of_the_machine() -> None:
    given = options(["--json", "found.json", "--data", "/home/someone/x.parquet", "--seeds", "1"])
    assert given.command.endswith("--data x.parquet --seeds 1")
    assert options(["--json=found.json", "--seeds", "2"]).command.endswith(" --seeds 2")
    assert "found" not in given.command


def test_commands_run_what_is_named() -> None:
    parser = ledger.parser("A benchmark.")
    seen: list[str] = []

    def first(_: argparse.Namespace) -> None:
        seen.append("first")

    found = ledger.commands(parser, {"first": first, "second": lambda _: seen.append("second")})
    found["first"].add_argument("--steps", type=int)
    given = ledger.parse(parser, ["first", "--steps", "3", "--json", "a.json"])
    given.run(given)
    assert (seen, given.steps, given.json) == (["first"], 3, Path("a.json"))
    assert ledger.parse(parser, ["second"]).json is None


def test_report_writes_tables_with_what_they_need_to_be_repeated(tmp_path: Path) -> None:
    file = tmp_path / "new" / "found.json"
    given = options(["--json", str(file), "--seeds", "3", "4"])
    with ledger.Report(given) as report:
        table = report.table("Title", "name", ("time", "s", "lower"))
        table.row("a", 1.5)
        table.row("b", None)
    found = json.loads(file.read_text())
    assert found["tables"] == [
        {
            "title": "Title",
            "columns": [{"name": "name"}, {"name": "time", "unit": "s", "better": "lower"}],
            "rows": [["a", 1.5], ["b", None]],
        }
    ]
    assert found["seeds"] == [3, 4]
    assert str(torch.__version__) in found["versions"]
    assert socket.gethostname() not in file.read_text()
    assert str(tmp_path) not in file.read_text()


def test_report_keeps_words_that_were_added(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    file.write_text(json.dumps({"title": "Kept", "tables": [], "machine": "old"}))
    with ledger.Report(options(["--json", str(file)])) as report:
        report.table("Title", "name").row("a")
    found = json.loads(file.read_text())
    assert found["title"] == "Kept"
    assert found["machine"] == ledger.machine()
    assert len(found["tables"]) == 1


def test_report_that_fails_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    with pytest.raises(KeyError), ledger.Report(options(["--json", str(file)])):
        raise KeyError
    assert not file.exists()


def test_table_is_printed_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    with ledger.Report(options([])) as report:
        table = report.table("Title", "name", ("time", "s", "lower"))
        table.row("a|b", 2)
        with pytest.raises(ValueError, match="got 1 cells for 2 columns"):
            table.row("c")
    assert capsys.readouterr().out.split("\n")[1:6] == [
        "Title", "", "| name | time (s, lower is better) |", "| --- | --- |", "| a\\|b | 2 |",
    ]  # fmt: skip


def test_rows_are_kept_and_a_cut_off_line_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    assert ledger.read_rows(path) == ledger.read_rows(None) == []
    ledger.keep_row(path, {"a": 1})
    ledger.keep_row(path, {"a": 2})
    path.write_text(path.read_text() + '{"a": 3')
    assert ledger.read_rows(path) == [{"a": 1}, {"a": 2}]
    ledger.keep_row(path, {"a": 3})
    assert ledger.read_rows(path) == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_a_last_line_without_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}')
    assert ledger.read_rows(path) == [{"a": 1}]
    ledger.keep_row(path, {"a": 2})
    assert ledger.read_rows(path) == [{"a": 1}, {"a": 2}]


def test_parts_are_made_once(tmp_path: Path) -> None:
    calls: list[int] = []

    def make() -> dict[str, int]:
        calls.append(1)
        return {"value": 7}

    assert ledger.Parts(tmp_path / "parts.jsonl").get("a", make)["value"] == 7
    again = ledger.Parts(tmp_path / "parts.jsonl").get("a", make)
    assert (again["value"], len(calls)) == (7, 1)
    assert again["cpu_seconds"] >= 0


def test_contenders_take_turns() -> None:
    order: list[str] = []
    found = ledger.in_turns({n: lambda n=n: order.append(n) for n in "ab"}, 2, warm_up=1)
    assert order == ["a", "b"] * 3
    assert {name: len(times) for name, times in found.items()} == {"a": 2, "b": 2}


def test_spread() -> None:
    assert ledger.spread([1.0, 3.0], ".2f") == "2.00 ± 1.41"
    assert ledger.spread([2.0]) == "2.0"
    assert ledger.spread([]) == ""


def test_cifar10_is_averaged_and_its_last_rows_validate(tmp_path: Path) -> None:
    """From a folder of arrays; 5,004 pictures whose four pixels of a block have the mean 3."""
    pictures = np.tile(np.array([[1, 2], [4, 5]], np.uint8), (16, 16))
    np.save(tmp_path / "images.npy", np.broadcast_to(pictures[None, ..., None], (5004, 32, 32, 3)))
    np.save(tmp_path / "labels.npy", np.arange(5004) % 10)
    for _ in range(2):  # the second time from the cache
        data = ledger.cifar10(tmp_path, 16, cache=tmp_path / "cache")
        assert (len(data.train), len(data.validation)) == (4, 5000)
        assert data.train.images.shape == (4, 3, 16, 16)
        assert (data.train.images == 3).all()
        assert data.validation.labels[0] == 4
