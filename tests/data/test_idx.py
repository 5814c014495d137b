"""Data sets in the IDX format, and broken files."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from nascence.data import DataError, load
from nascence.data.idx import read_array, read_idx
from nascence.data.source import ArrayImages


def idx(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def write(
    folder: Path,
    prefix: str,
    count: int,
    *,
    joint: str = "-",
    suffix: str = "",
    first: int = 0,
    seed: int = 0,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.arange(count) % 4 + first
    for what, array in (("images", images(count, seed)), ("labels", labels)):
        data = idx(array)
        name = f"{prefix}-{what}{joint}idx{array.ndim}-ubyte{suffix}"
        (folder / name).write_bytes(gzip.compress(data) if suffix else data)


@pytest.mark.parametrize("joint", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw"])
def test_mnist(joint: str, suffix: str, place: str, tmp_path: Path) -> None:
    write(tmp_path / place, "train", 12, joint=joint, suffix=suffix)
    write(tmp_path / place, "t10k", 8, joint=joint, suffix=suffix, seed=1)
    dataset = load(tmp_path)
    assert dataset.image_shape == (1, 28, 28)
    assert np.array_equal(dataset.train.images[:, 0].numpy(), images(12))
    assert np.array_equal(dataset.validation.images[:, 0].numpy(), images(8, 1))
    assert dataset.train.labels.tolist() == [0, 1, 2, 3] * 3
    assert dataset.class_names == ("0", "1", "2", "3")


def test_emnist_is_turned_upright_and_counts_from_one(tmp_path: Path) -> None:
    for kind in ("letters", "digits"):
        write(tmp_path, f"emnist-{kind}-train", 12, suffix=".gz", first=kind == "letters")
        write(tmp_path, f"emnist-{kind}-test", 4, suffix=".gz", first=kind == "letters")
    with pytest.raises(DataError, match=r"holds 2 data sets .emnist-digits-, emnist-letters-"):
        load(tmp_path)
    source = read_idx(tmp_path / "emnist-letters-train-images-idx3-ubyte.gz")
    assert source.class_names == ("1", "2", "3", "4")
    assert isinstance(source.train, ArrayImages)
    assert source.train.labels.tolist() == [0, 1, 2, 3] * 3
    assert np.array_equal(source.train.images[:, 0], images(12).transpose(0, 2, 1))
    assert source.validation is not None
    assert source.validation.labels.tolist() == [0, 1, 2, 3]


def test_without_test_images_it_is_split(tmp_path: Path) -> None:
    write(tmp_path, "train", 40)
    dataset = load(tmp_path)
    assert (len(dataset.train), len(dataset.validation)) == (36, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with nothing; an IDX file of bytes with 3 dimensions starts with 00000803"),
        (b"\x00\x00\x0d\x03" + bytes(12), "starts with 00000d03"),
        (idx(np.zeros((2, 2))), "starts with 00000802"),
        (idx(images(3))[:-1], "says 3 x 28 x 28 but holds 2351 values"),
        (idx(images(3)) + b"x", "but holds 2353 values or more"),
        (bytes((0, 0, 8, 3)) + b"\xff" * 12 + b"x", "holds 1 values"),
        (idx(np.zeros((3, 0, 28))), "says 3 x 0 x 28"),
    ],
)
def test_bad_files(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_array(path, 3)


def test_bad_gzip(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = gzip.compress(idx(images(3)))
    for content in (b"text, not gzip", whole[:-500], whole[:100] + bytes(100) + whole[200:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is damaged or no gzip file"):
            read_array(path, 3)


def test_labels_must_be_there_and_match(tmp_path: Path) -> None:
    write(tmp_path, "train", 12)
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(idx(np.arange(11) % 4))
    with pytest.raises(DataError, match=r"12 images but .* 11 labels"):
        load(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="lacks its labels; put train-labels-idx1-ubyte beside it"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 1, 9], "label 9 in row 2"), ([2, 3, 4], "smallest label .* is 2")],
)
def test_bad_labels(labels: list[int], message: str, tmp_path: Path) -> None:
    write(tmp_path, "train", 3)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.array(labels)))
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_the_file_of_test_images_is_no_training_set(tmp_path: Path) -> None:
    write(tmp_path, "t10k", 3)
    with pytest.raises(DataError, match="has no training images"):
        load(tmp_path / "t10k-images-idx3-ubyte")
