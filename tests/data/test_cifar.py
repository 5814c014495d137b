"""CIFAR in each of its published forms, and broken files."""

import io
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nascence.data import DataError, load
from nascence.data.cifar import read_cifar
from nascence.data.source import ArrayImages

NAMES = [
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
]
FINE = [f"class{number}" for number in range(100)]
COARSE = FINE[:20]


def pixels(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def records(labels: list[list[int]], seed: int) -> bytes:
    """The binary form, from its description: labels, then 1,024 red, green, blue values."""
    rows = pixels(len(labels), seed)
    return b"".join(bytes(label) + row.tobytes() for label, row in zip(labels, rows, strict=True))


def python2(batch: dict[str, Any]) -> bytes:
    """The bytes that cPickle of Python 2 writes for such a dictionary with protocol 2."""

    def write(value: Any) -> bytes:
        if isinstance(value, str):
            return b"U" + bytes([len(value)]) + value.encode()
        if isinstance(value, int):
            return b"K" + bytes([value])
        if isinstance(value, list):
            return b"](" + b"".join(map(write, value)) + b"e"
        count, width = (struct.pack("<i", size) for size in value.shape)
        data = value.tobytes()
        return (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
            b"(K\x01J" + count + b"J" + width + b"\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R"
            b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"
            b"T" + struct.pack("<i", len(data)) + data + b"tb"
        )

    items = b"".join(write(key) + write(value) for key, value in batch.items())
    return b"\x80\x02}(" + items + b"u."


def cifar10_binary() -> dict[str, bytes]:
    files = {f"data_batch_{n}.bin": records([[i % 10] for i in range(20)], n) for n in range(1, 6)}
    files["test_batch.bin"] = records([[9], [0]], 6)
    files["batches.meta.txt"] = "\n".join([*NAMES, "", ""]).encode()
    return files


def cifar10_python() -> dict[str, bytes]:
    files = {}
    for n in range(1, 6):
        labels = [i % 10 for i in range(20)]
        files[f"data_batch_{n}"] = python2(
            {"batch_label": f"training batch {n} of 5", "labels": labels, "data": pixels(20, n)}
        )
    files["test_batch"] = python2({"labels": [9, 0], "data": pixels(2, 6)})
    files["batches.meta"] = python2({"num_cases_per_batch": 20, "label_names": NAMES})
    return files


def cifar100_binary() -> dict[str, bytes]:
    return {
        "train.bin": records([[i // 5, i] for i in range(100)], 1),
        "test.bin": records([[0, 3], [19, 99]], 6),
        "fine_label_names.txt": "\n".join(FINE).encode(),
        "coarse_label_names.txt": "\n".join(COARSE).encode(),
    }


def cifar100_python() -> dict[str, bytes]:
    train = {"data": pixels(100, 1), "fine_labels": list(range(100)), "coarse_labels": [0] * 100}
    test = {"data": pixels(2, 6), "fine_labels": [3, 99], "coarse_labels": [0, 19]}
    meta = {"fine_label_names": FINE, "coarse_label_names": COARSE}
    return {"train": python2(train), "test": python2(test), "meta": python2(meta)}


FORMS = {
    "cifar-10-batches-bin": cifar10_binary,
    "cifar-10-batches-py": cifar10_python,
    "cifar-100-binary": cifar100_binary,
    "cifar-100-python": cifar100_python,
}


def unpacked(root: Path, name: str, files: dict[str, bytes]) -> Path:
    folder = root / name
    folder.mkdir(exist_ok=True)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    return folder


def packed(root: Path, name: str, files: dict[str, bytes]) -> Path:
    path = root / f"{name}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file, data in files.items():
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ["folder", "above", "archive"])
def test_forms_and_places(form: str, place: str, tmp_path: Path) -> None:
    files = FORMS[form]()
    path = (packed if place == "archive" else unpacked)(tmp_path, form, files)
    dataset = load(tmp_path if place == "above" else path)
    few = "10-" in form
    seeds = range(1, 6) if few else [1]
    expected = np.concatenate([pixels(20 if few else 100, seed) for seed in seeds])
    assert np.array_equal(dataset.train.images.flatten(1).numpy(), expected)
    assert dataset.train.images.shape[1:] == (3, 32, 32)
    labels = [i % 10 for i in range(100)] if few else list(range(100))
    assert dataset.train.labels.tolist() == labels
    assert np.array_equal(dataset.validation.images.flatten(1).numpy(), pixels(2, 6))
    assert dataset.validation.labels.tolist() == ([9, 0] if few else [3, 99])
    assert dataset.class_names[3] == ("cat" if few else "class3")
    assert dataset.classes == (10 if few else 100)
    assert dataset.skipped == ()


def test_some_files_missing(tmp_path: Path) -> None:
    files = cifar10_binary()
    for name in ("test_batch.bin", "batches.meta.txt", "data_batch_3.bin"):
        del files[name]
    source = read_cifar(unpacked(tmp_path, "cifar", files))
    assert source.validation is None
    assert source.class_names == tuple("0123456789")
    assert isinstance(source.train, ArrayImages)
    assert len(source.train.labels) == 80
    assert len(source.skipped) == 1
    assert "data_batch_3.bin is missing" in source.skipped[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data_batch_2.bin", b"", "has 0 bytes"),
        ("data_batch_2.bin", bytes(3072), "must be a multiple of 3073"),
        ("data_batch_2.bin", records([[0], [10]], 0), "label 10 in row 1 of data_batch_2.bin"),
    ],
)
def test_bad_binary_files(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = unpacked(tmp_path, "cifar", cifar10_binary() | {name: content})
    with pytest.raises(DataError, match=message):
        load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged"),
        (b"cos\nsystem\n(S'exit 1'\ntR.", "names os.system.*take the binary version"),
        (b"]\x2e", "holds no dictionary"),
        (python2({"labels": [1, 2], "data": pixels(3, 0)}), "labels that do not match"),
        (python2({"labels": [1, 11], "data": pixels(2, 0)}), "label 11 in row 1"),
        (python2({"labels": ["a", "b"], "data": pixels(2, 0)}), "labels that do not match"),
        (python2({"data": pixels(2, 0)}), "labels that do not match"),
        (python2({"labels": [1, 2]}), "shape None"),
    ],
)
def test_bad_python_files(content: bytes, message: str, tmp_path: Path) -> None:
    path = unpacked(tmp_path, "cifar", cifar10_python() | {"data_batch_4": content})
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_bad_archives(tmp_path: Path) -> None:
    path = packed(tmp_path, "cifar", cifar10_binary())
    data = path.read_bytes()
    for content in (b"", b"text", data[: len(data) // 2], data[:50] + bytes(50) + data[100:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not a readable archive"):
            load(path)
    with pytest.raises(DataError, match="holds no CIFAR files"):
        load(packed(tmp_path, "other", {"readme.txt": b"text"}))


def test_members_that_are_links_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("data_batch_1.bin")
        member.type = tarfile.SYMTYPE
        member.linkname = "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(DataError, match="holds no CIFAR files"):
        load(path)
