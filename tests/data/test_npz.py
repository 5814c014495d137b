"""Arrays in NumPy archives: names, layouts and kinds."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nascence.data import DataError, load
from nascence.data.npz import pixels, read_npz


def images(count: int = 20, *shape: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (count, *(shape or (8, 8, 3))), dtype=np.uint8)


LABELS = np.arange(20) % 2


@pytest.fixture
def save(tmp_path: Path) -> Any:
    def save(**arrays: Any) -> Path:
        np.savez(tmp_path / "set.npz", **arrays)
        return tmp_path / "set.npz"

    return save


@pytest.mark.parametrize(
    ("train", "held_out"),
    [
        (("x_train", "y_train"), ("x_test", "y_test")),
        (("X_train", "Y_train"), ("X_val", "Y_val")),
        (("train_images", "train_labels"), ("val_images", "val_labels")),
        (("images", "labels"), None),
    ],
)
def test_names_of_arrays(train: Any, held_out: Any, save: Any) -> None:
    arrays = dict(zip(train, (images(), LABELS), strict=True))
    if held_out:
        arrays |= dict(zip(held_out, (images(4), LABELS[:4, None]), strict=True))
    dataset = load(save(**arrays))
    assert dataset.class_names == ("0", "1")
    assert dataset.image_shape == (3, 8, 8)
    if held_out:
        assert dataset.train.images.numpy().tolist() == images().transpose(0, 3, 1, 2).tolist()
        assert len(dataset.validation) == 4
    else:
        assert (len(dataset.train), len(dataset.validation)) == (18, 2)


def test_class_names(save: Any) -> None:
    source = read_npz(save(images=images(), labels=LABELS, class_names=["cat", "dog", "rare"]))
    assert source.class_names == ("cat", "dog", "rare")


def test_layouts_agree() -> None:
    last = images(5, 6, 7, 3)
    first = last.transpose(0, 3, 1, 2)
    assert np.array_equal(pixels(last, "x"), first)
    assert np.array_equal(pixels(first, "x"), first)
    assert np.array_equal(pixels(last[..., 0], "x"), first[:, :1])
    assert np.array_equal(pixels(last[..., :1], "x"), first[:, :1])


def test_kinds_agree() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    expected = values[:, None]
    for same in (
        values,
        values.astype(np.int64),
        values.astype(np.float32) / 255,
        values.astype(np.float64) / 255,
        values.astype(np.uint16) * 257,
    ):
        assert np.array_equal(pixels(same, "x"), expected), same.dtype
    assert pixels(np.ones((1, 2, 2), bool), "x").max() == 255


def test_transparency_is_laid_on_white() -> None:
    values = np.zeros((1, 1, 3, 4), np.uint8)
    values[0, 0, :, 3] = [0, 51, 255]
    assert pixels(values, "x")[0, :, 0].T.tolist() == [[255] * 3, [204] * 3, [0] * 3]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 3), np.uint8), r"shape \(3, 3\)"),
        (np.zeros((2, 5, 5, 2), np.uint8), r"shape \(2, 5, 5, 2\)"),
        (np.zeros((0, 5, 5), np.uint8), r"shape \(0, 1, 5, 5\)"),
        (np.full((1, 2, 2), 2.0), "floats from 0 to 1"),
        (np.full((1, 2, 2), np.nan), "values nan to nan"),
        (np.full((1, 2, 2), -1), "values -1 to -1"),
        (np.full((1, 2, 2), "a"), "<U1"),
        (np.full((1, 2, 2), 1j), "complex"),
    ],
)
def test_bad_images(values: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        pixels(values, "x")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.append(LABELS[:-1], 9), "label 9 in row 19 of set.npz is out of range"),
        (np.append(LABELS[:-1], -1), "label -1 in row 19"),
        (LABELS.astype(float), "float64"),
        (LABELS[:-1], "20 images in images but 19 labels in labels"),
        (np.zeros(20, int), "one class only, '0'"),
        (np.eye(2)[LABELS], "one-hot"),
    ],
)
def test_bad_labels(labels: np.ndarray, message: str, save: Any) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(save(images=images(), labels=labels))
    assert "\n" not in str(caught.value)


def test_labels_beyond_the_names(save: Any) -> None:
    with pytest.raises(DataError, match=r"label 1 in row 1 .* allowed is 0 to 0"):
        load(save(images=images(), labels=LABELS, class_names=["only"]))
    with pytest.raises(DataError, match="must be a list of strings"):
        load(save(images=images(), labels=LABELS, class_names=[1, 2]))


class Boom:
    """Unpickling it would raise."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('a pickle was run')",)


def test_pickled_objects_are_never_loaded(save: Any, tmp_path: Path) -> None:
    objects = np.array([Boom(), Boom()], dtype=object)
    with pytest.raises(DataError, match=r"images in set\.npz holds pickled Python objects"):
        load(save(images=objects, labels=np.array([0, 1])))
    with pytest.raises(DataError, match=r"labels in set\.npz holds pickled Python objects"):
        load(save(images=images(2), labels=objects))
    path = tmp_path / "bare.npz"
    path.write_bytes(pickle.dumps(Boom()))
    with pytest.raises(DataError, match="is not a NumPy archive"):
        load(path)


def test_not_an_archive(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "other.npz"
    single = io.BytesIO()
    np.save(single, images())
    for content, message in (
        (b"", "not a NumPy archive"),
        (b"text", "not a NumPy archive"),
        (save(images=images(), labels=LABELS).read_bytes()[:-30], "not a NumPy archive"),
        (single.getvalue(), "single array"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            load(path)
    damaged = bytearray(save(images=images(), labels=LABELS).read_bytes())
    damaged[200:900] = bytes(700)
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"images in other\.npz is damaged"):
        load(path)


def test_other_arrays(save: Any) -> None:
    with pytest.raises(DataError, match="holds weights; allowed are x_train and y_train"):
        load(save(weights=images()))


def test_splits_of_two_shapes(save: Any) -> None:
    arrays = {"x_train": images(), "y_train": LABELS, "x_val": images(4, 9, 9, 3)}
    path = save(**arrays, y_val=LABELS[:4])
    with pytest.raises(DataError, match="both need one shape: pass size="):
        load(path)
    assert load(path, size=9).image_shape == (3, 9, 9)
