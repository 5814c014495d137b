"""A look is spread over the source and keeps whole photos."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nascence.data import DataError, look


def test_a_look_counts_everything_and_decodes_some(class_folders: Callable[..., Path]) -> None:
    root = class_folders({"a": 30, "b": 10}, width=20, height=8)
    found = look(root, side=4, most=20)
    assert (found.train, found.held_out, found.classes, found.grey) == (40, 0, 2, False)
    assert np.bincount(found.labels).tolist() == [15, 5]
    assert set(found.sizes) == {(8, 20)}
    assert {photo.size for photo in found.photos} == {(10, 4)}
    assert found.images(6, "pad").shape == (20, 3, 6, 6)


def test_framings_show_what_they_say(class_folders: Callable[..., Path]) -> None:
    found = look(class_folders({"a": 2, "b": 2}, width=20, height=10), side=64)
    padded = found.images(20, "pad")
    assert (padded[:, :, :5] == 0).all()
    assert padded[:, :, 8:12].any()
    assert (found.images(10, "crop") != found.images(10, "squash")).any()


def test_a_look_at_arrays_and_at_nothing(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 9, 9, 1), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(12) % 3)
    found = look(tmp_path / "a.npz", side=32)
    assert (found.grey, found.classes, found.sizes[0]) == (True, 3, (9, 9))
    rows = found.images(9, "crop")
    assert sorted(map(bytes, rows)) == sorted(bytes(image) for image in images)
    for name in ("a", "b"):
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"none of the 2 images of .* is readable"):
        look(tmp_path / "broken", side=32)
