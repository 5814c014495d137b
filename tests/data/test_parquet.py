"""Parquet files: columns, labels and shards."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nascence.data import DataError, load
from nascence.data.parquet import read_parquet
from nascence.data.source import EncodedImages

Paint = Callable[..., Image.Image]


@pytest.fixture
def png(paint: Paint) -> Callable[[int], bytes]:
    def encode(seed: int) -> bytes:
        buffer = io.BytesIO()
        paint(seed=seed).save(buffer, "PNG")
        return buffer.getvalue()

    return encode


@pytest.fixture
def write(tmp_path: Path, png: Callable[[int], bytes]) -> Callable[..., Path]:
    """Write images numbered like their rows."""

    def write(
        labels: Any,
        *,
        name: str = "set.parquet",
        image: str = "image",
        label: str = "label",
        plain: bool = False,
        names: list[str] | None = None,
        group: int = 4,
    ) -> Path:
        contents = [png(row) for row in range(len(labels))]
        images = contents if plain else [{"bytes": data, "path": "/etc/x"} for data in contents]
        table = pa.table({image: images, label: labels})
        if names is not None:
            features = {label: {"names": names, "_type": "ClassLabel"}}
            about = json.dumps({"info": {"features": features}})
            table = table.replace_schema_metadata({"huggingface": about})
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=group)
        return path

    return write


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(("image", "label"), [("img", "label"), ("image", "fine_label")])
def test_columns(
    plain: bool, image: str, label: str, write: Callable[..., Path], paint: Paint
) -> None:
    path = write([0, 1] * 10, plain=plain, image=image, label=label, names=["cat", "dog"])
    dataset = load(path)
    assert dataset.class_names == ("cat", "dog")
    assert (len(dataset.train), len(dataset.validation)) == (18, 2)
    stored = {np.asarray(paint(seed=row)).tobytes(): row % 2 for row in range(20)}
    for images, labels in (
        (dataset.train.images, dataset.train.labels),
        (dataset.validation.images, dataset.validation.labels),
    ):
        for picture, number in zip(images, labels, strict=True):
            key = np.ascontiguousarray(picture.permute(1, 2, 0).numpy()).tobytes()
            assert stored.pop(key) == number
    assert not stored


def test_string_labels(write: Callable[..., Path]) -> None:
    source = read_parquet(write(["dog", "cat", "dog", "ant"]))
    assert source.class_names == ("ant", "cat", "dog")
    assert source.train.labels.tolist() == [2, 1, 2, 0]
    dictionary = pa.array(["b", "a"]).dictionary_encode()
    assert read_parquet(write(dictionary)).train.labels.tolist() == [1, 0]


@pytest.mark.parametrize("folder", ["set", "set/data"])
def test_shards(folder: str, write: Callable[..., Path], tmp_path: Path) -> None:
    write([0, 1, 2], name=f"{folder}/train-00000-of-00002.parquet")
    write([2, 1, 0], name=f"{folder}/train-00001-of-00002.parquet")
    write([1, 1], name=f"{folder}/test-00000-of-00001.parquet")
    source = read_parquet(tmp_path / "set")
    assert source.train.labels.tolist() == [0, 1, 2, 2, 1, 0]
    assert source.validation is not None
    assert source.validation.labels.tolist() == [1, 1]
    write([0], name=f"{folder}/validation.parquet")
    source = read_parquet(tmp_path / "set")
    assert source.validation is not None
    assert source.validation.labels.tolist() == [0]
    assert load(tmp_path / "set").classes == 3


def test_shards_without_split_names(write: Callable[..., Path], tmp_path: Path) -> None:
    write([0, 1], name="set/a.parquet")
    write([1, 0], name="set/b.parquet")
    source = read_parquet(tmp_path / "set")
    assert source.train.labels.tolist() == [0, 1, 1, 0]
    assert source.validation is None


def test_a_row_without_bytes_is_skipped_and_its_path_not_followed(
    tmp_path: Path, png: Callable[[int], bytes]
) -> None:
    (tmp_path / "outside.png").write_bytes(png(0))
    rows = [{"bytes": png(row), "path": None} for row in range(8)]
    rows[3] = {"bytes": None, "path": str(tmp_path / "outside.png")}
    path = tmp_path / "set.parquet"
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(rows, kind), "label": [0, 1] * 4}), path)
    dataset = load(path)
    assert len(dataset.train) + len(dataset.validation) == 7
    assert len(dataset.skipped) == 1
    assert dataset.skipped[0].startswith("row 3 of set.parquet holds no bytes")


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1, 2, 5], ["a", "b"], "label 2 in row 2 of set.parquet is out of range .2 such"),
        ([0, 1, -1], ["a", "b"], "label -1 in row 2 of set.parquet"),
        ([0, 1, 1000], None, "label 1000 in row 2"),
        ([0.0, 1.0], None, "labels of set.parquet are float64"),
        ([0, None, 1], None, "label in row 1 of set.parquet is missing"),
    ],
)
def test_bad_labels(
    labels: list[Any], names: list[str] | None, message: str, write: Callable[..., Path]
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(write(labels, names=names))
    assert "\n" not in str(caught.value)


def test_validation_label_out_of_range(write: Callable[..., Path], tmp_path: Path) -> None:
    write([0, 1], name="set/train.parquet")
    write([0, 2], name="set/test.parquet")
    with pytest.raises(DataError, match="label 2 in row 1 of the validation part"):
        read_parquet(tmp_path / "set")
    write(["a", "b"], name="set/train.parquet")
    write(["a", "c"], name="set/test.parquet")
    with pytest.raises(DataError, match=r"label 'c' in row 1 of test\.parquet"):
        read_parquet(tmp_path / "set")


def test_missing_columns(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"text": ["a"], "label": [0]}), path)
    with pytest.raises(DataError, match="no image column; columns are text: string, label: int64"):
        read_parquet(path)
    pq.write_table(pa.table({"image": [b"a"], "kind": [0]}), path)
    with pytest.raises(DataError, match="no label column"):
        read_parquet(path)


def test_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    empty = {"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())}
    pq.write_table(pa.table(empty), path)
    with pytest.raises(DataError, match="has no rows"):
        load(path)


def test_shards_with_other_columns(write: Callable[..., Path], tmp_path: Path) -> None:
    write([0, 1], name="set/a.parquet")
    write([0, 1], name="set/b.parquet", label="target")
    with pytest.raises(DataError, match=r"b\.parquet has no column 'label'"):
        read_parquet(tmp_path / "set")


def test_not_parquet_and_damaged(tmp_path: Path, write: Callable[..., Path]) -> None:
    path = tmp_path / "text.parquet"
    for content in (b"", b"hello", b"PAR1" + bytes(40) + b"PAR1"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a readable parquet file"):
            load(path)
    path = write([0, 1] * 200)
    data = bytearray(path.read_bytes())
    data[8 : len(data) // 2] = bytes(len(data) // 2 - 8)
    path.write_bytes(data)
    with pytest.raises(DataError, match="is damaged") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_class_names_of_files_are_put_together_by_name(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    write([0, 1, 2], name="set/train-0.parquet", names=["a", "b", "c"])
    write([0, 1, 2], name="set/train-1.parquet", names=["c", "a", "d"])
    write([0, 1], name="set/test-0.parquet", names=["b", "d"])
    source = read_parquet(tmp_path / "set")
    assert source.class_names == ("a", "b", "c", "d")
    assert source.train.labels.tolist() == [0, 1, 2, 2, 0, 3]
    assert source.validation is not None
    assert source.validation.labels.tolist() == [1, 3]
    write(["d", "a"], name="set/test-0.parquet")
    source = read_parquet(tmp_path / "set")
    assert source.validation is not None
    assert source.validation.labels.tolist() == [3, 0]
    write([0, 1], name="set/test-0.parquet", names=["b", "e"])
    with pytest.raises(DataError, match=r"label 'e' in row 1 of test-0\.parquet is out of range"):
        read_parquet(tmp_path / "set")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["a", "b"], [0, 1]),
        ([0, 1], ["a", "b"]),
        ([True, False], [1, 0]),
        (["a", "b"], [0.0, 1.0]),
    ],
)
def test_names_beside_numbers_are_refused(
    first: list[Any], second: list[Any], write: Callable[..., Path], tmp_path: Path
) -> None:
    write(first, name="set/train.parquet")
    write(second, name="set/test.parquet")
    with pytest.raises(DataError, match="are names; all files need the same kind"):
        read_parquet(tmp_path / "set")


def test_types_of_columns(tmp_path: Path, png: Callable[[int], bytes]) -> None:
    data = [png(row) for row in range(4)]
    images = [
        *(pa.array(data, kind) for kind in (pa.binary(), pa.large_binary(), pa.binary_view())),
        pa.array([{"bytes": x} for x in data], pa.struct([("bytes", pa.binary_view())])),
    ]
    text = ["x", "y", "y", "x"]
    labels: list[tuple[pa.Array, tuple[str, ...], list[int]]] = [
        *(
            (pa.array(text, kind), ("x", "y"), [0, 1, 1, 0])
            for kind in (pa.string(), pa.string_view())
        ),
        (pa.array(text, pa.large_string()).dictionary_encode(), ("x", "y"), [0, 1, 1, 0]),
        (pa.array([3, 0, 1, 2], pa.uint8()), ("0", "1", "2", "3"), [3, 0, 1, 2]),
        (pa.array([1, 0, 0, 1]).dictionary_encode(), ("0", "1"), [1, 0, 0, 1]),
        (pa.array([True, False, False, True]), ("false", "true"), [1, 0, 0, 1]),
    ]
    path = tmp_path / "set.parquet"
    for image in images:
        for label, names, expected in labels:
            pq.write_table(pa.table({"image": image, "label": label}), path)
            source = read_parquet(path)
            assert source.class_names == names
            assert source.train.labels.tolist() == expected
            assert isinstance(source.train, EncodedImages)
            assert [item.content for block in source.train.blocks() for item in block] == data


def test_images_of_one_length(tmp_path: Path, png: Callable[[int], bytes]) -> None:
    image = png(0)
    column = pa.array([image] * 4, pa.binary(len(image)))
    pq.write_table(pa.table({"image": column, "label": [0, 1, 1, 0]}), tmp_path / "set.parquet")
    source = read_parquet(tmp_path / "set.parquet")
    assert isinstance(source.train, EncodedImages)
    assert [item.content for block in source.train.blocks() for item in block] == [image] * 4


def test_shards_of_different_types(write: Callable[..., Path], tmp_path: Path) -> None:
    write(pa.array([0, 1], pa.int8()), name="set/train-0.parquet")
    write(pa.array([1, 0], pa.int64()), name="set/train-1.parquet", plain=True)
    assert read_parquet(tmp_path / "set").train.labels.tolist() == [0, 1, 1, 0]
    write([[1], [0]], name="set/train-1.parquet")
    with pytest.raises(
        DataError, match=r"column 'label' of .*train-1\.parquet is list<.*it is int8"
    ):
        read_parquet(tmp_path / "set")


def test_names_nested_too_deep_are_none(tmp_path: Path, png: Callable[[int], bytes]) -> None:
    table = pa.table({"image": [png(0), png(1)], "label": [0, 1]})
    about = b'{"info":' + b"[" * 100_000
    pq.write_table(table.replace_schema_metadata({b"huggingface": about}), tmp_path / "a.parquet")
    assert read_parquet(tmp_path / "a.parquet").class_names == ("0", "1")


def test_folders_of_splits(write: Callable[..., Path], tmp_path: Path) -> None:
    write([0, 1, 1], name="set/default/train/0000.parquet")
    write([1, 0], name="set/default/test/0000.parquet")
    source = read_parquet(tmp_path / "set")
    assert source.train.labels.tolist() == [0, 1, 1]
    assert source.validation is not None
    assert source.validation.labels.tolist() == [1, 0]


def test_other_parquet_files_are_left_out(
    write: Callable[..., Path], class_folders: Callable[..., Path], tmp_path: Path
) -> None:
    root = class_folders({"a": 4, "b": 4})
    pq.write_table(pa.table({"file_name": ["a/0.png"]}), root / "metadata.parquet")
    pq.write_table(pa.table({"x": [1.0]}), root / "a" / "features.parquet")
    (root / "broken.parquet").write_bytes(b"")
    assert load(root).class_names == ("a", "b")
    write([0, 1], name="set/data.parquet")
    with pytest.raises(DataError, match="as the 4 parquet files in it, or as class folders"):
        load(root)
    write([0, 1] * 4, name="other/0.parquet")
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "other" / "statistics.parquet")
    assert load(tmp_path / "other").skipped == ("statistics.parquet is not read",)
    (tmp_path / "other" / "1.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"1\.parquet is not a readable parquet file"):
        load(tmp_path / "other")
