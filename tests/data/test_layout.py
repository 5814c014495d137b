"""What is a split, on folders that are known to be in use."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nascence.data import DataError, load
from nascence.data.layout import file_splits, folder_splits, role_of

TRAIN = ("train", "Training", "training_set", "seg_train", "Train_data", "trainset", "train2017")
VALIDATION = (
    "val",
    "valid",
    "validation",
    "validate",
    "dev",
    "val2017",
    "validation_set",
    "my-val",
)
TEST = ("test", "Testing", "test_set", "seg_test", "TestImages", "eval", "evaluation", "test1")
NONE = (
    "cats",
    "trained",
    "contest",
    "latest",
    "evaluate_me",
    "value",
    "device",
    "train_test",
    "1",
    "",
)


@pytest.mark.parametrize(
    ("role", "names"),
    [("train", TRAIN), ("validation", VALIDATION), ("test", TEST), (None, NONE)],
)
def test_words_of_splits(role: str | None, names: Sequence[str]) -> None:
    assert {name: role_of(name) for name in names} == dict.fromkeys(names, role)


def make(root: Path, files: str) -> Path:
    """Folders and empty files of a text; a name without a suffix is a folder."""
    for name in files.split():
        path = root / name
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        else:
            path.mkdir(parents=True, exist_ok=True)
    return root


@pytest.mark.parametrize(
    ("files", "train", "validation", "left_out"),
    [
        ("training_set/a/1.png test_set/a/1.png", "training_set", "test_set", ""),
        ("train/a dev/a", "train", "dev", ""),
        ("train/a val2017/a", "train", "val2017", ""),
        ("train/a validate/a test/a/1.png", "train", "validate", "test"),
        ("train/a eval/a", "train", "eval", ""),
        ("train/a", "train", None, ""),
        ("set/train/a set/val/a", "set/train", "set/val", ""),
        (
            "seg_train/seg_train/a seg_test/seg_test/a",
            "seg_train/seg_train",
            "seg_test/seg_test",
            "",
        ),
        ("train/a/1.png val/a/1.png pred/1.png notes/1.txt", "train", "val", "pred"),
        ("train/a/1.png test/1.png", "train", None, "test"),
    ],
)
def test_layouts_of_splits(
    files: str, train: str, validation: str | None, left_out: str, tmp_path: Path
) -> None:
    splits = folder_splits(make(tmp_path, files))
    assert splits is not None
    assert splits.train == tmp_path / train
    assert splits.validation == (validation and tmp_path / validation)
    assert [str(path.relative_to(tmp_path)) for path in splits.left_out] == left_out.split()


@pytest.mark.parametrize(
    "files",
    [
        "cat/1.png dog/1.png",
        "cat/day/1.png cat/night/1.png dog/1.png",
        "car/1.png train/1.png",
        "bottle/1.png test_tube/1.png",
        "bottle/1.png test_tube/old/1.png",
        "cat dog",
        "only/inner/1.png",
    ],
)
def test_layouts_of_classes(files: str, tmp_path: Path) -> None:
    assert folder_splits(make(tmp_path, files)) is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("train/1.png test/1.png", "test/ and train/ are splits without class folders, or classes"),
        ("train/1.png", "train/ is a split without class folders, or a class"),
        ("val/a/1.png test/a/1.png", "are splits without class folders for training, or classes"),
        ("train/1.png val/a/1.png", "without class folders for training"),
        ("test/1.png cats/1.png dogs/1.png", "test/ is a split without class folders, or a class"),
        ("train/a training/a", "are parts of one split, or different versions of it"),
        ("train/a/1.png cats/1.png", "cats/ no part of it, or all 2 folders are classes"),
        ("train/a/1.png val/b/1.png c/1.png", "c/ no part of it, or all 3 folders are classes"),
        ("cat/train/1.png cat/test/1.png dog/train/1.png", "are splits of one class, or images"),
    ],
)
def test_doubtful_layouts_are_refused_with_both_readings(
    files: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=f"can be read in two ways: .*{message}") as caught:
        folder_splits(make(tmp_path, files))
    assert "\n" not in str(caught.value)


def test_links_in_circles_end(tmp_path: Path) -> None:
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "only").symlink_to(tmp_path)
    assert folder_splits(tmp_path) is None
    (tmp_path / "set" / "train").mkdir(parents=True)
    (tmp_path / "set" / "train" / "train").symlink_to(tmp_path / "set" / "train")
    splits = folder_splits(tmp_path / "set")
    assert splits is not None
    assert splits.train.name == "train"


@pytest.mark.parametrize(
    ("files", "train", "validation", "left_out"),
    [
        ("train-0.p test-0.p", "train-0.p", "test-0.p", ""),
        ("train/0.p test/0.p validation/0.p", "train/0.p", "validation/0.p", "test/0.p"),
        ("default/train/0.p default/train/1.p", "default/train/0.p default/train/1.p", "", ""),
        ("a.p b/c.p", "a.p b/c.p", "", ""),
        ("train-0.p more.p", "train-0.p", "", "more.p"),
    ],
)
def test_splits_of_files(files: str, train: str, validation: str, left_out: str) -> None:
    splits = file_splits([Path("root") / name for name in files.split()], Path("root"))
    expected = [
        [Path("root") / name for name in part.split()] for part in (train, validation, left_out)
    ]
    assert list(splits) == expected


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("test-0.p", "test-0.p is held out from files for training, or all files are one set"),
        ("a.p test.p", "test.p is held out from files for training"),
        ("train/test-0.p", "train/test-0.p is test or train data"),
        ("ten/train/0.p hundred/train/0.p", "hundred, ten are parts of one data set, or several"),
    ],
)
def test_doubtful_files_are_refused_with_both_readings(files: str, message: str) -> None:
    with pytest.raises(DataError, match=f"can be read in two ways: {message}"):
        file_splits([Path("root") / name for name in files.split()], Path("root"))


def test_the_reading_is_said(class_folders: Callable[..., Path]) -> None:
    root = class_folders({"a": 4, "b": 4})
    assert load(root).reading == "2 classes from class folders, validated on 10 % of each class"
    class_folders({"a": 4, "b": 4}, root="two/train")
    class_folders({"a": 1}, root="two/val2017")
    class_folders({"b": 1}, root="two/test")
    data = load(class_folders({}, root="two"))
    assert data.reading == "2 classes from train/, validated on val2017/"
    assert data.skipped[0] == "folder test/ is not read"
    assert "1 validation image is a copy of training images" in data.skipped[1]
