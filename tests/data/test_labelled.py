"""Labelled images in the form that is asked for."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nascence.data import DataError
from nascence.data.decoding import Form
from nascence.data.labelled import read_labelled


def test_folders_are_decoded_as_load_does(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    for name, image in zip(("a", "b"), pixels, strict=True):
        (tmp_path / name).mkdir()
        Image.fromarray(image).save(tmp_path / name / "x.png")
    found = read_labelled(tmp_path, Form((8, 8), grey=False))
    assert np.array_equal(found.images, pixels.transpose(0, 3, 1, 2))
    assert found.labels.tolist() == [0, 1]
    assert found.class_names == ("a", "b")


@pytest.mark.parametrize(("grey", "shape"), [(True, (4, 1, 6, 6)), (False, (4, 3, 6, 6))])
def test_arrays_are_brought_to_the_form(tmp_path: Path, grey: bool, shape: tuple[int, ...]) -> None:
    values = np.full((4, 12, 12, 1 if not grey else 3), 77, np.uint8).squeeze()
    np.savez(tmp_path / "x.npz", images=values, labels=np.array([0, 1, 0, 1]))
    found = read_labelled(tmp_path / "x.npz", Form((6, 6), grey=grey))
    assert found.images.shape == shape
    assert (found.images == 77).all()


def test_what_cannot_be_used(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 9, 9), np.uint8), labels=np.array([0, 1]))
    with pytest.raises(DataError, match="9x9 pixels and the network takes 6x8"):
        read_labelled(tmp_path / "x.npz", Form((6, 8), grey=False))
    (tmp_path / "p" / "a").mkdir(parents=True)
    (tmp_path / "p" / "a" / "x.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"none of the 1 images .* can be read \(first: a/x.png"):
        read_labelled(tmp_path / "p", Form((6, 6), grey=False))
