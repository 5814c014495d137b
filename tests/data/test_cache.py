"""The cache gives back what was written, and notices damage."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from nascence.data import cache
from nascence.data.arrays import NAMES, Arrays, Stored, fingerprint
from nascence.data.cache import CacheError, key, read, workspace, write


def entry() -> tuple[Stored, Arrays]:
    arrays: Arrays = {
        "train_images": np.arange(96, dtype=np.uint8).reshape(2, 3, 4, 4),
        "train_labels": np.array([0, 1]),
        "validation_images": np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4),
        "validation_labels": np.array([1]),
    }
    names = ("a", "b")
    stored = Stored(
        train_shape=(2, 3, 4, 4),
        validation_shape=(1, 3, 4, 4),
        class_names=names,
        mean=(0.1, 0.2, 0.3),
        std=(1.0, 1.0, 1.0),
        skipped=("one line",),
        fingerprint=fingerprint(arrays, names),
    )
    return stored, arrays


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "key"
    stored, arrays = entry()
    with workspace(folder) as temporary:
        write(folder, temporary, stored, arrays)
    return folder


def test_what_is_written_is_read(written: Path) -> None:
    found = read(written)
    assert found is not None
    stored, arrays = entry()
    assert found[0] == stored
    for name, array in arrays.items():
        assert isinstance(found[1][name], np.memmap)
        assert np.array_equal(found[1][name], array)
        assert found[1][name].dtype == array.dtype
    assert sorted(path.name for path in written.parent.iterdir()) == ["key"]


def test_changing_what_was_read_changes_no_file(written: Path) -> None:
    found = read(written)
    assert found is not None
    found[1]["train_images"][:] = 0
    again = read(written)
    assert again is not None
    assert again[1]["train_images"].max() == 95


@pytest.mark.parametrize("name", [*NAMES, "about.json"])
@pytest.mark.parametrize("damage", ["shorter", "longer", "changed", "absent"])
def test_damage_is_noticed(name: str, damage: str, written: Path) -> None:
    path = written / name
    data = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        changed = bytes([data[0] ^ 1]) + data[1:]
        path.write_bytes({"shorter": data[:-1], "longer": data + b"x", "changed": changed}[damage])
    assert read(written) is None


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"train_shape": "x"}', "\xff"])
def test_other_descriptions_are_damage(text: str, written: Path) -> None:
    (written / "about.json").write_text(text, encoding="latin-1")
    assert read(written) is None


def test_a_damaged_entry_is_replaced(written: Path) -> None:
    (written / "train_images").write_bytes(b"")
    stored, arrays = entry()
    with workspace(written) as temporary:
        write(written, temporary, stored, arrays)
    assert read(written) is not None


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "key"

    def interrupted() -> None:
        with workspace(folder) as temporary:
            cache.allocate(temporary, "decoded", (10, 3, 4, 4))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(folder.parent.iterdir()) == []


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path) -> None:
    old, new = tmp_path / ".new-old", tmp_path / ".new-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "decoded").write_bytes(b"x")
    before = time.time() - 200_000
    os.utime(old, (before, before))
    cache.remove_leftovers(tmp_path)
    assert not old.exists()
    assert new.exists()


def test_failures_are_cache_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CacheError), workspace(tmp_path / "file" / "data" / "key"):
        pass
    with pytest.raises(CacheError):
        cache.allocate(tmp_path / "absent", "decoded", (1,))
    with pytest.raises(CacheError):
        cache.allocate(tmp_path, "decoded", (1 << 60,))
    stored, arrays = entry()
    with pytest.raises(CacheError):
        write(tmp_path / "key", tmp_path / "absent", stored, arrays)


def test_key_follows_files_and_settings(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, ns=(0, 0))
    first = key([path], 32)
    assert key([path], 32) == first
    assert key([path], 33) != first
    os.utime(path, ns=(0, 1))
    assert key([path], 32) != first
    path.write_bytes(b"three")
    os.utime(path, ns=(0, 0))
    assert key([path], 32) != first


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NASCENCE_CACHE", str(tmp_path))
    assert cache.default_folder() == tmp_path
    monkeypatch.setenv("NASCENCE_CACHE", "")
    assert cache.default_folder() is None
    monkeypatch.delenv("NASCENCE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_folder() == tmp_path / "nascence"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.default_folder() == tmp_path / ".cache" / "nascence"
