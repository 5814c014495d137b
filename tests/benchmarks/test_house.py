"""The picture of the house shows the imports as they are."""

import pytest

from benchmarks.docs import house


def test_the_picture_is_current() -> None:
    assert house.PICTURE.read_text() == house.draw(), "run python -m benchmarks.docs.house"


def test_rooms_stand_above_what_they_import() -> None:
    rooms = house.imports()
    floors = house.heights(rooms)
    assert all(floors[room] > floors[to] for room, below in rooms.items() for to in below)
    assert floors["core"] == 0
    assert "design" in rooms["cli"]


def test_only_imports_that_follow_from_others_are_left_out() -> None:
    rooms = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": {"c"}}
    assert house.needed(rooms) == [("a", "b"), ("b", "c"), ("d", "c")]


def test_an_old_picture_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    assert house.main(["--check"]) == 0
    monkeypatch.setattr(house, "PICTURE", tmp_path / "old.svg")
    assert house.main(["--check"]) == 1
