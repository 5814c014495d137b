"""Which folders and files are the splits of a data set: the one place that says so.

The words are those of Hugging Face `datasets <https://huggingface.co/docs/datasets>`_ and of the
common tools: ``train``, ``training_set``, ``seg_train`` and ``train2017`` all hold training images.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from nascence.data.errors import DataError, printable

Role = Literal["train", "validation", "test"]
_WORDS: dict[str, Role] = {
    **dict.fromkeys(("train", "training", "trainval"), "train"),
    **dict.fromkeys(("validation", "valid", "validate", "validating", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
_ENDINGS = ("", "set", "data", "images", "split")
IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif"),
}


class Splits(NamedTuple):
    """The folders of a data set that hold class folders.

    Attributes:
        train: Training images.
        validation: Validation or else test images, if there are any.
        left_out: Folders that hold images and are not read.
    """

    train: Path
    validation: Path | None
    left_out: tuple[Path, ...]


class FileSplits(NamedTuple):
    """The files of a data set by split, each list sorted; ``left_out`` is not read."""

    train: list[Path]
    validation: list[Path]
    left_out: list[Path]


def role_of(name: str) -> Role | None:
    """Return the split that a folder or file is of by its name, ``None`` if it is of none.

    A name counts if one of its words does, whatever stands beside it: words end at digits, at
    ``-``, ``_``, ``.`` and spaces, and where a capital follows a small letter. A name with words
    of two splits, such as ``train_test``, is of none.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [word.lower() for word in re.split(r"[\W\d_]+", spaced)]
    known = (word.removesuffix(end) for word in words for end in _ENDINGS if word.endswith(end))
    roles = {_WORDS[word] for word in known if word in _WORDS}
    return roles.pop() if len(roles) == 1 else None


def folder_splits(root: Path) -> Splits | None:
    """Return the split folders of ``root``, or ``None`` where its folders are classes.

    Folders are splits if their names say so and they hold folders of their own, one of them for
    training. A split that only repeats itself (``seg_train/seg_train``) is entered, and so is a
    single folder around the splits.

    Raises:
        DataError: The layout can be read in two ways; the message names both.
    """
    folders = subfolders(root)
    named = [folder for folder in folders if role_of(folder.name)]
    if not named:
        if len(folders) == 1 and any(role_of(path.name) for path in subfolders(folders[0])):
            return folder_splits(folders[0])
        _check_classes(root, folders)
        return None
    others = [folder for folder in folders if folder not in named and holds_images(folder)]
    nested = {folder: role_of(folder.name) for folder in named if subfolders(folder)}
    if "train" not in nested.values():
        if _may_be_classes(named, others):
            _check_classes(root, folders)
            return None
        raise _without_training(root, named, bool(nested))
    for role in set(nested.values()):
        same = [folder for folder in nested if nested[folder] == role]
        if len(same) > 1:
            raise _doubtful(
                root,
                f"{_listed(same)} are parts of one split, or different versions of it",
                f"keep one folder of {role} images",
            )
    by_role = {role: _entered(folder) for folder, role in nested.items()}
    held_out = by_role.get("validation", by_role.get("test"))
    if others and (held_out is None or not _names(by_role["train"]) & _names(held_out)):
        raise _doubtful(
            root,
            f"{_listed([by_role['train']])} is the training split and {_listed(others)} no part of "
            f"it, or all {len(folders)} folders are classes",
            "move what is no part of it away, or all classes into a folder train/",
        )
    unread = [folder for folder in named if folder not in nested and holds_images(folder)]
    if held_out is not None and "test" in by_role and "validation" in by_role:
        unread.append(by_role["test"])
    return Splits(by_role["train"], held_out, tuple(sorted((*others, *unread))))


def file_splits(files: Sequence[Path], root: Path) -> FileSplits:
    """Divide files by what their names, and the folders between ``root`` and them, say.

    Without any such name, all files are for training.

    Raises:
        DataError: The layout can be read in two ways; the message names both.
    """
    parts: dict[Role | None, list[Path]] = {"train": [], "validation": [], "test": [], None: []}
    for file in sorted(files):
        place = file.relative_to(root)
        roles = file_roles(place)
        if len(roles) > 1:
            raise _doubtful(
                root,
                f"{printable(place)} is {' or '.join(sorted(roles))} data",
                "rename the file or its folder",
            )
        parts[roles.pop() if roles else None].append(file)
    train, unnamed = parts["train"], parts[None]
    if not train and not (parts["validation"] or parts["test"]):
        return FileSplits(unnamed, [], [])
    if not train:
        named = printable((parts["validation"] or parts["test"])[0].relative_to(root))
        raise _doubtful(
            root,
            f"{named} is held out from files for training, or all files are one set",
            "name the files for training train-*, or give none of the files the name of a split",
        )
    above = {_configuration(file.relative_to(root)) for file in train}
    if len(above) > 1:
        raise _doubtful(
            root,
            f"{', '.join(sorted(above))[:200]} are parts of one data set, or several data sets",
            "pass the folder of one of them",
        )
    held_out = parts["validation"] or parts["test"]
    left_out = parts["test"] if parts["validation"] else []
    return FileSplits(train, held_out, [*left_out, *unnamed])


def file_roles(place: Path) -> set[Role]:
    """Return the splits that a file is of by its own name and those of its folders."""
    names = (*place.parts[:-1], place.stem)
    return {role for name in names if (role := role_of(name))}


def subfolders(root: Path) -> list[Path]:
    """Return the visible folders of a folder, sorted."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name))


def is_hidden(name: str) -> bool:
    """Whether a file or folder is left out by its name."""
    return name.startswith((".", "__MACOSX"))


def is_image_name(name: str) -> bool:
    """Whether a file may be an image by its name; one without a suffix may."""
    suffix = os.path.splitext(name)[1].lower()
    return not is_hidden(name) and (suffix in IMAGE_SUFFIXES or suffix == "")


def holds_images(folder: Path) -> bool:
    """Whether a file at any depth of a folder is named as an image, by its suffix."""
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in walk(folder))


def walk(folder: Path, root: Path | None = None, *, suffix: str = "") -> Iterator[Path]:
    """Yield the visible files below a folder, each real folder visited once and none above it.

    Args:
        folder: Where to begin.
        root: The folder that no link may lead back to; by default what is above ``folder``.
        suffix: What the names of the files end in, in small letters.
    """
    above = Path(os.path.realpath(folder.parent if root is None else root))
    seen = {str(above), *(str(parent) for parent in above.parents)}
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(current) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir():
                    waiting.append(Path(entry.path))
                elif entry.name.lower().endswith(suffix) and entry.is_file():
                    yield Path(entry.path)


def _check_classes(root: Path, folders: Sequence[Path]) -> None:
    """Refuse folders as classes if one of them is itself divided into splits."""
    for folder in folders:
        inner = [path for path in subfolders(folder) if role_of(path.name)]
        roles = {role_of(path.name) for path in inner}
        if "train" in roles and len(roles) > 1:
            raise _doubtful(
                root,
                f"{_listed(inner)} in {printable(folder.name)}/ are splits of one class, or images "
                "of it alike",
                "put the splits above the classes, as in ROOT/train/CLASS",
            )


def _may_be_classes(named: Sequence[Path], others: Sequence[Path]) -> bool:
    """Whether folders without class folders are classes that happen to be named like a split.

    A class may be called ``train``, and one of several words (``test tube``) is no split.
    """
    if not others or len({role_of(folder.name) for folder in named}) > 1:
        return False
    return all(
        role_of(folder.name) == "train" or folder.name.lower() not in _WORDS for folder in named
    )


def _without_training(root: Path, named: Sequence[Path], nested: bool) -> DataError:
    lack = "class folders for training" if nested else "class folders"
    return _doubtful(
        root,
        f"{_listed(named)} {'is a split' if len(named) == 1 else 'are splits'} without {lack}, or "
        f"{'a class' if len(named) == 1 else 'classes'}",
        "put the images into ROOT/train/CLASS and ROOT/val/CLASS, or into class folders that are "
        "named unlike splits",
    )


def _entered(folder: Path) -> Path:
    """The folder that holds the classes: a split may only repeat itself."""
    inner = subfolders(folder)
    repeats = len(inner) == 1 and role_of(inner[0].name) == role_of(folder.name)
    return inner[0] if repeats and subfolders(inner[0]) else folder


def _names(folder: Path) -> set[str]:
    return {path.name for path in subfolders(folder)}


def _configuration(place: Path) -> str:
    """The folders above a file that are not named like a split."""
    return printable("/".join(name for name in place.parts[:-1] if not role_of(name)) or ".")


def _listed(folders: Sequence[Path]) -> str:
    names = [f"{printable(folder.name)}/" for folder in folders]
    return " and ".join(names) if len(names) < 4 else f"{names[0]}, {names[1]} and others"


def _doubtful(root: Path, readings: str, remedy: str) -> DataError:
    return DataError(f"{printable(root)} can be read in two ways: {readings}; {remedy}")
