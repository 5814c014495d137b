"""The journal's file. What it refuses and mends is tested with studies."""

import json
from pathlib import Path

from nascence.search.journal import open_journal


def test_entries_are_lines_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.journal"
    journal = open_journal(path)
    entries = [{"op_code": 0, "text": "é\n"}, {"op_code": 1}]
    journal.append_logs(entries)
    journal.append_logs([{"op_code": 2}])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        *entries,
        {"op_code": 2},
    ]
    assert list(open_journal(path).read_logs(1)) == [{"op_code": 1}, {"op_code": 2}]


def test_a_cut_line_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(b'{"op_code":0}\n{"op_code":1,"te')
    open_journal(path)
    assert path.read_bytes() == b'{"op_code":0}\n'
