"""Folders of images: classes, splits, and what is no image."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nascence.data import DataError, load
from nascence.data.folder import read_folder
from nascence.data.source import EncodedImages, Part

Folders = Callable[..., Path]


def names(part: Part | None) -> list[str]:
    assert isinstance(part, EncodedImages)
    return [item.name for block in part.blocks() for item in block]


def test_classes_are_sorted_by_name(class_folders: Folders) -> None:
    source = read_folder(class_folders({"zebra": 2, "ant": 1, "Bee": 3}))
    assert source.class_names == ("Bee", "ant", "zebra")
    assert source.train.labels.tolist() == [0, 0, 0, 1, 2, 2]
    assert names(source.train)[:4] == ["Bee/0.png", "Bee/1.png", "Bee/2.png", "ant/0.png"]
    assert source.validation is None


@pytest.mark.parametrize("held_out", ["val", "valid", "validation", "test", "Test"])
def test_given_splits(held_out: str, class_folders: Folders) -> None:
    class_folders({"a": 2, "b": 2}, root="set/train")
    class_folders({"b": 1}, root=f"set/{held_out}")
    root = class_folders({"notes": 1})
    source = read_folder(root)
    assert source.train.labels.tolist() == [0, 0, 1, 1]
    assert source.validation is not None
    assert source.validation.labels.tolist() == [1]


def test_validation_comes_before_test(class_folders: Folders) -> None:
    class_folders({"a": 1, "b": 1}, root="set/train")
    class_folders({"a": 1}, root="set/test")
    class_folders({"b": 1}, root="set/val")
    source = read_folder(class_folders({}))
    assert names(source.validation) == ["val/b/0.png"]


def test_train_alone_is_split_later(class_folders: Folders) -> None:
    class_folders({"a": 4, "b": 4}, root="set/train")
    dataset = load(class_folders({}))
    assert len(dataset.train) == 6
    assert len(dataset.validation) == 2


def test_a_class_may_be_called_train(class_folders: Folders) -> None:
    assert read_folder(class_folders({"train": 2, "car": 2})).class_names == ("car", "train")


def test_hidden_and_other_files_are_left_out(class_folders: Folders) -> None:
    root = class_folders({"a": 2, "b": 2, ".cache": 1})
    for name in ("notes.txt", "list.txt", ".DS_Store", "._0.png"):
        (root / "a" / name).write_text("text")
    (root / "loose.png").write_bytes(b"")
    source = read_folder(root)
    assert source.class_names == ("a", "b")
    assert len(source.train.labels) == 4
    assert len(source.skipped) == 2
    assert any("2 x file named *.txt" in line for line in source.skipped)
    assert any("outside the class folders" in line for line in source.skipped)


def test_nested_folders_belong_to_their_class(class_folders: Folders) -> None:
    class_folders({"day": 1, "night": 2}, root="set/cat")
    root = class_folders({"dog": 1})
    assert read_folder(root).train.labels.tolist() == [0, 0, 0, 1]


def test_links_are_followed_but_not_in_circles(class_folders: Folders, tmp_path: Path) -> None:
    elsewhere = class_folders({"more": 3}, root="elsewhere")
    root = class_folders({"a": 1, "b": 1})
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a")
    (root / "a" / "top").symlink_to("/")
    (root / "b" / "linked").symlink_to(elsewhere)
    (root / "b" / "again").symlink_to(elsewhere / "more")
    (root / "b" / "nowhere").symlink_to(tmp_path / "absent")
    assert read_folder(root).train.labels.tolist() == [0, 1, 1, 1, 1]


def test_an_empty_class_folder_is_no_class(class_folders: Folders) -> None:
    root = class_folders({"a": 1, "b": 1, "c": 0})
    source = read_folder(root)
    assert source.class_names == ("a", "b")
    assert source.skipped == ("class folder c holds no image file",)


def test_validation_class_without_training_images(class_folders: Folders) -> None:
    class_folders({"a": 1, "b": 1}, root="set/train")
    class_folders({"c": 1}, root="set/val")
    with pytest.raises(DataError, match="class 'c' of the validation folder"):
        read_folder(class_folders({}))


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folders and no images; allowed is ROOT/CLASS"):
        read_folder(tmp_path)


def test_images_without_class_folders(class_folders: Folders) -> None:
    with pytest.raises(DataError, match="3 images but no class folders"):
        read_folder(class_folders({"a": 3}) / "a")


def test_folder_of_other_files(class_folders: Folders) -> None:
    root = class_folders({"a": 0, "b": 0})
    (root / "a" / "notes.txt").write_text("text")
    with pytest.raises(DataError, match="no image among the 1 files in the 2 folders") as caught:
        read_folder(root)
    assert ".png" in str(caught.value)


def test_the_level_of_the_classes_is_chosen_and_said(class_folders: Callable[..., Path]) -> None:
    root = class_folders({"fruit/apple": 3, "fruit/pear/green": 3, "roots/leek": 3})
    first, second = read_folder(root), read_folder(root, label_depth=2)
    assert first.class_names == ("fruit", "roots")
    assert "level 1 of the folders (3 with --label-depth 2)" in first.origins[0]
    assert second.class_names == ("fruit/apple", "fruit/pear", "roots/leek")
    deep = read_folder(root, label_depth=3)
    assert deep.class_names == ("fruit/pear/green",)
    assert any("image outside the class folders" in line for line in deep.skipped)
    with pytest.raises(DataError, match="lies 4 folders deep"):
        read_folder(root, label_depth=4)


def test_a_folder_around_the_classes_is_entered(class_folders: Callable[..., Path]) -> None:
    root = class_folders({"data/cat": 2, "data/dog": 2})
    assert read_folder(root).class_names == ("cat", "dog")
