"""A folder with one folder of images for each class."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nascence.data.decode import SUFFIXES
from nascence.data.errors import DataError, printable
from nascence.data.source import EncodedImages, Item, Source, evenly

TRAIN = ("train", "training")
VALIDATION = ("validation", "valid", "val", "test", "testing")
LAYOUT = "allowed is ROOT/CLASS/IMAGE or ROOT/train/CLASS/IMAGE with ROOT/validation/CLASS/IMAGE"
Listing = dict[str, list[Path]]


def is_folder(path: Path) -> bool:
    """Whether this may be a folder of class folders."""
    return path.is_dir()


def read_folder(root: Path) -> Source:
    """Images named by the folder that they lie in, at any depth.

    Classes are sorted by name. ``train`` (or ``training``) and the first of ``validation``,
    ``valid``, ``val``, ``test`` and ``testing`` are splits if they hold folders. Hidden files and
    files that are not images by their name are left out; links are followed, but not in circles.

    Raises:
        DataError: There are no class folders or no image files, or a class of the validation split
            is missing from the training split.
    """
    folders = {folder.name.lower(): folder for folder in _subfolders(root)}
    train = next((folders[name] for name in TRAIN if name in folders), None)
    if train is None or not _subfolders(train):
        listing, ignored = _list_classes(root)
        skipped = _empty_classes(listing) + _describe(ignored, root)
        return _source(root, listing, None, skipped)
    held_out = next((folders[name] for name in VALIDATION if name in folders), None)
    listing, ignored = _list_classes(train)
    if held_out is None:
        return _source(root, listing, None, _empty_classes(listing) + _describe(ignored, root))
    validation, more = _list_classes(held_out)
    skipped = _empty_classes(listing) + _empty_classes(validation) + _describe(ignored + more, root)
    return _source(root, listing, validation, skipped)


def _subfolders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not _hidden(path.name))


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _list_classes(root: Path) -> tuple[Listing, Counter[str]]:
    """Image files of each class, and how many others there were by suffix."""
    classes = _subfolders(root)
    loose = [path for path in root.iterdir() if path.is_file() and _is_image(path.name)]
    if not classes:
        got = f"{len(loose)} images but no class folders" if loose else "no folders and no images"
        raise DataError(
            f"{printable(root)} has {got}; {LAYOUT}: put the images of each class in a folder "
            "of its own"
        )
    listing: Listing = {}
    ignored: Counter[str] = Counter()
    if loose:
        ignored["image outside the class folders"] += len(loose)
    for folder in classes:
        files = list(_walk(folder, root))
        listing[folder.name] = sorted(path for path in files if _is_image(path.name))
        ignored.update(path.suffix.lower() for path in files if not _is_image(path.name))
    if not any(listing.values()):
        count = sum(ignored.values())
        raise DataError(
            f"no image among the {count} files in the {len(classes)} folders of {printable(root)}; "
            f"allowed are {' '.join(sorted(SUFFIXES))}; {LAYOUT}"
        )
    return listing, ignored


def _is_image(name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()
    return not _hidden(name) and (suffix in SUFFIXES or suffix == "")


def _walk(folder: Path, root: Path) -> Iterator[Path]:
    """Files below a folder, each real folder visited once and none above it."""
    above = Path(os.path.realpath(root))
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
                if _hidden(entry.name):
                    continue
                if entry.is_dir():
                    waiting.append(Path(entry.path))
                elif entry.is_file():
                    yield Path(entry.path)


def _empty_classes(listing: Listing) -> list[str]:
    return [
        f"class folder {printable(name)} holds no image file"
        for name, files in listing.items()
        if not files
    ]


def _describe(ignored: Counter[str], root: Path) -> list[str]:
    lines = []
    for suffix, count in sorted(ignored.items()):
        kind = (
            suffix if " " in suffix else f"file named *{printable(suffix)}, which is not an image"
        )
        lines.append(f"{count} {'x ' if count > 1 else ''}{kind}, in {printable(root)}")
    return lines


def _source(root: Path, train: Listing, validation: Listing | None, skipped: list[str]) -> Source:
    names = sorted(name for name, files in train.items() if files)
    if validation is not None:
        unknown = sorted(name for name, files in validation.items() if files and name not in names)
        if unknown:
            raise DataError(
                f"class {printable(unknown[0])!r} of the validation folder in {printable(root)} "
                f"has no training images; allowed are the {len(names)} classes of the training "
                "folder: add its images there or remove it"
            )
    held_out = None if validation is None else _encoded(root, validation, names)
    part = _encoded(root, train, names)
    files = [
        path
        for listing in (train, validation or {})
        for name in names
        for path in listing.get(name, [])
    ]
    return Source(
        tuple(printable(name) for name in names), part, held_out, tuple(skipped), tuple(files)
    )


def _encoded(root: Path, listing: Listing, names: Sequence[str]) -> EncodedImages:
    files = [path for name in names for path in listing.get(name, [])]
    counts = [len(listing.get(name, [])) for name in names]
    items = [Item(printable(path.relative_to(root)), path) for path in files]
    return EncodedImages(
        labels=np.repeat(np.arange(len(names), dtype=np.int64), counts),
        blocks=lambda: iter([items]),
        probe=lambda: [items[index] for index in evenly(len(items))],
    )
