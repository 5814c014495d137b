"""One function reads every kind of data set, and refuses the rest."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nascence.data import DataError, Dataset, MissingDataError, cache, load

Folders = Callable[..., Path]
Paint = Callable[..., Image.Image]


def same(first: Dataset, second: Dataset) -> bool:
    return (
        first.fingerprint == second.fingerprint
        and first.class_names == second.class_names
        and first.mean == second.mean
        and first.skipped == second.skipped
        and torch.equal(first.train.images, second.train.images)
        and torch.equal(first.train.labels, second.train.labels)
        and torch.equal(first.validation.images, second.validation.images)
        and torch.equal(first.validation.labels, second.validation.labels)
    )


def test_missing_path() -> None:
    with pytest.raises(MissingDataError, match=r"nothing at no/such.*allowed are") as caught:
        load("no/such")
    assert isinstance(caught.value, FileNotFoundError)
    assert "\n" not in str(caught.value)


def test_unknown_kind(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b")
    with pytest.raises(DataError, match="of no known kind; allowed are a folder"):
        load(path)


def test_paths_that_the_system_refuses() -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load("x" * 5000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size is 0"),
        ({"size": 5000}, "size is 5000"),
        ({"validation_fraction": 0.0}, "validation_fraction is 0.0"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
        ({"validation_fraction": float("nan")}, "validation_fraction is nan"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_arguments(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(**arguments)  # type: ignore[arg-type]


def test_one_class_only(class_folders: Folders) -> None:
    with pytest.raises(DataError, match=r"one class only, 'cat'.*at least two classes"):
        load(class_folders({"cat": 5}))


def test_no_readable_image(class_folders: Folders) -> None:
    root = class_folders({"a": 2, "b": 2})
    for path in root.rglob("*.png"):
        path.write_bytes(b"text")
    with pytest.raises(DataError, match=r"none of the 4 images .* \(first: a/0.png is not a read"):
        load(root)


def test_a_class_left_without_images(class_folders: Folders) -> None:
    root = class_folders({"a": 2, "b": 1})
    (root / "b" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"one class only, 'a' \(first: b/0.png is empty"):
        load(root)


def test_one_image_of_each_class(class_folders: Folders) -> None:
    with pytest.raises(DataError, match=r"no image .* is left for validation"):
        load(class_folders({"a": 1, "b": 1}))


def test_a_class_with_one_image_trains(class_folders: Folders) -> None:
    dataset = load(class_folders({"a": 1, "b": 4, "c": 4}))
    assert dataset.train.labels.bincount().tolist() == [1, 3, 3]
    assert dataset.validation.labels.bincount(minlength=3).tolist() == [0, 1, 1]
    assert dataset.skipped == ("class a has one image: it trains, and none is left for validation",)


def test_odd_images_are_used_and_bad_ones_named(class_folders: Folders, paint: Paint) -> None:
    root = class_folders({"a": 10, "b": 10})
    for mode, suffix in [("L", "png"), ("P", "png"), ("RGBA", "png"), ("CMYK", "jpg")]:
        paint(20, 9, mode=mode).save(root / "a" / f"{mode}.{suffix}")
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(root / "a" / "deep.png")
    Image.new("L", (30_000, 8)).save(root / "a" / "wide.png")
    whole = (root / "b" / "0.png").read_bytes()
    (root / "b" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "b" / "zero.png").write_bytes(b"")
    (root / "b" / "text.png").write_bytes(b"hello")
    dataset = load(root, size=8)
    assert dataset.image_shape == (3, 8, 8)
    counts = [
        (dataset.train.labels == label).sum() + (dataset.validation.labels == label).sum()
        for label in range(2)
    ]
    assert counts == [16, 10]
    named = sorted(line.split()[0] for line in dataset.skipped)
    assert named == ["b/cut.png", "b/text.png", "b/zero.png"]
    assert all("\n" not in line for line in dataset.skipped)


def test_many_bad_images_are_counted(class_folders: Folders) -> None:
    root = class_folders({"a": 40, "b": 5})
    for number in range(30):
        (root / "a" / f"{number}.png").write_bytes(b"")
    skipped = load(root).skipped
    assert len(skipped) == 21
    assert skipped[-1] == "and 10 more images"


def test_grey_stays_grey(class_folders: Folders, paint: Paint) -> None:
    root = class_folders({"a": 0, "b": 0})
    for index in range(1_100):
        image = paint(4, 4, mode="L", seed=index)
        image.save(root / "ab"[index % 2] / f"{index:04}.bmp")
    assert load(root).image_shape == (1, 4, 4)
    # Not among the 1,000 images that are looked at first.
    paint(4, 4).save(root / "b" / "0903.bmp")
    assert load(root).image_shape == (3, 4, 4)


def test_every_image_is_in_one_split(class_folders: Folders) -> None:
    root = class_folders({"a": 10, "b": 20})
    dataset = load(root, validation_fraction=0.2)
    assert dataset.train.labels.bincount().tolist() == [8, 16]
    assert dataset.validation.labels.bincount().tolist() == [2, 4]
    images = torch.cat([dataset.train.images, dataset.validation.images])
    seen = [image.numpy().tobytes() for image in images]
    assert len(set(seen)) == 30
    assert same(dataset, load(root, validation_fraction=0.2, cache=False))
    assert not same(dataset, load(root, validation_fraction=0.2, seed=1))


def test_bad_images_do_not_shift_labels(class_folders: Folders, paint: Paint) -> None:
    root = class_folders({"a": 12, "b": 12})
    for number in (0, 5, 11):
        (root / "a" / f"{number}.png").write_bytes(b"")
    dataset = load(root)
    first = {np.asarray(paint(seed=index)).tobytes() for index in range(12)}
    for split in (dataset.train, dataset.validation):
        for image, label in zip(split.images, split.labels, strict=True):
            pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy()).tobytes()
            assert (pixels in first) == (label == 0)


def test_given_validation_that_cannot_be_read(class_folders: Folders) -> None:
    class_folders({"a": 2, "b": 2}, root="set/train")
    held_out = class_folders({"a": 1}, root="set/val")
    (held_out / "a" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"no image .* is left for validation"):
        load(class_folders({}))


def test_progress_counts_all_images(class_folders: Folders) -> None:
    class_folders({"a": 80, "b": 2}, root="set/train")
    class_folders({"a": 70}, root="set/val")
    seen: list[tuple[int, int]] = []
    load(class_folders({}), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[0] == (64, 152)
    assert seen[-1] == (152, 152)


def test_cache_is_used_and_rebuilt(class_folders: Folders, own_cache: Path) -> None:
    root = class_folders({"a": 10, "b": 10})
    calls: list[int] = []

    def decoded() -> tuple[Dataset, int]:
        calls.clear()
        dataset = load(root, progress=lambda done, total: calls.append(done))
        return dataset, len(calls)

    first = load(root, cache=False)
    assert decoded()[1] > 0
    second, count = decoded()
    assert count == 0
    assert same(first, second)
    (entry,) = (own_cache / "data").iterdir()
    pixels = entry / "train_images"
    pixels.write_bytes(bytes(pixels.stat().st_size))
    third, count = decoded()
    assert count > 0
    assert same(first, third)
    assert decoded()[1] == 0
    assert [path.name for path in (own_cache / "data").iterdir()] == [entry.name]


def test_cache_follows_the_files(class_folders: Folders, paint: Paint) -> None:
    root = class_folders({"a": 10, "b": 10})
    first = load(root)
    paint(seed=77).save(root / "b" / "new.png")
    second = load(root)
    assert len(second.train) + len(second.validation) == 21
    assert not same(first, second)


def test_cache_can_be_elsewhere_or_off(
    class_folders: Folders, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = class_folders({"a": 4, "b": 4})
    load(root, cache=False)
    assert not (own_cache / "data").exists()
    load(root, cache=tmp_path / "elsewhere")
    assert not (own_cache / "data").exists()
    assert len(list((tmp_path / "elsewhere" / "data").iterdir())) == 1
    monkeypatch.setenv("NASCENCE_CACHE", "")
    load(root)
    assert not (own_cache / "data").exists()


def test_a_cache_that_fails_is_said_and_done_without(
    class_folders: Folders, tmp_path: Path
) -> None:
    root = class_folders({"a": 4, "b": 4})
    (tmp_path / "file").write_bytes(b"")
    with pytest.warns(UserWarning, match="decoded images are not kept"):
        dataset = load(root, cache=tmp_path / "file")
    assert same(dataset, load(root, cache=False))


def test_another_process_may_be_faster(
    class_folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = cache.write

    def beaten(*arguments: Any) -> None:
        write(*arguments)
        raise cache.CacheError("the folder is not empty")

    monkeypatch.setattr(cache, "write", beaten)
    root = class_folders({"a": 4, "b": 4})
    assert same(load(root), load(root, cache=False))


def test_loaded_tensors_may_be_written(class_folders: Folders) -> None:
    root = class_folders({"a": 4, "b": 4})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = load(root), load(root)
    before = first.train.images.clone()
    second.train.images.zero_()
    assert torch.equal(first.train.images, before)
    assert torch.equal(load(root).train.images, before)
