"""Mean and deviation of channels, and the hash by which a data set is known again."""

from pathlib import Path

import numpy as np
import pytest

from nascence.data import arrays
from nascence.data.arrays import Arrays, fingerprint, statistics

ARRAYS: Arrays = {
    "train_images": np.arange(96, dtype=np.uint8).reshape(2, 3, 4, 4),
    "train_labels": np.array([0, 1]),
    "validation_images": np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4),
    "validation_labels": np.array([1]),
}


def test_statistics_are_those_of_all_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (700, 3, 9, 7), dtype=np.uint8)
    images[:, 2] = 9
    mean, deviation = statistics(images)
    scaled = images / 255
    assert mean == pytest.approx(scaled.mean((0, 2, 3)))
    assert deviation[:2] == pytest.approx(scaled.std((0, 2, 3))[:2])
    assert deviation[2] == pytest.approx(1 / 255)


def test_fingerprint_follows_every_byte() -> None:
    first = fingerprint(ARRAYS, ("a", "b"))
    assert fingerprint(ARRAYS, ("a", "c")) != first
    for name in ARRAYS:
        changed = {**ARRAYS, name: ARRAYS[name].copy()}
        changed[name].reshape(-1)[-1] += 1
        assert fingerprint(changed, ("a", "b")) != first
    turned = {**ARRAYS, "train_images": ARRAYS["train_images"].reshape(2, 3, 8, 2)}
    assert fingerprint(turned, ("a", "b")) != first


def test_fingerprint_of_large_arrays_takes_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "WHOLE", 1000)
    monkeypatch.setattr(arrays, "PIECE", 10)
    large = {**ARRAYS, "train_images": np.zeros((1, 3, 100, 100), np.uint8)}
    first = fingerprint(large, ())
    for index in (0, 15_000, 29_999):
        changed = {**large, "train_images": large["train_images"].copy()}
        changed["train_images"].reshape(-1)[index : index + 40] = 1
        assert fingerprint(changed, ()) != first


def resident(kind: str) -> int:
    """Kilobytes of the process that are mapped from files (``RssFile``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
def test_memory_of_a_mapped_array_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "WINDOW", 1 << 22)
    rows, size = 64, 1 << 20
    mapped = np.memmap(tmp_path / "a", np.uint8, "w+", shape=(rows, size))
    pages, before, most = arrays.Pages(mapped), resident("RssFile"), 0
    for row in range(rows):
        mapped[row] = row
        pages.touched(size)
        most = max(most, resident("RssFile"))
    assert most - before < 16 << 10  # of 64 megabytes
    assert (mapped[:, 0] == np.arange(rows)).all()
