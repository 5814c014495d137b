"""A folder with one folder of images for each class."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nascence.data.errors import DataError, printable
from nascence.data.layout import (
    IMAGE_SUFFIXES,
    folder_splits,
    is_image_name,
    subfolders,
    walk,
)
from nascence.data.source import EncodedImages, Item, Source, evenly

LAYOUT = "allowed is ROOT/CLASS/IMAGE or ROOT/train/CLASS/IMAGE with ROOT/validation/CLASS/IMAGE"
Listing = dict[str, list[Path]]


def is_folder(path: Path) -> bool:
    """Whether this may be a folder of class folders."""
    return path.is_dir()


def read_folder(root: Path) -> Source:
    """Images named by the folder that they lie in, at any depth.

    Classes are sorted by name; :mod:`nascence.data.layout` says which folders are splits. Hidden
    files and files that are not images by their name are left out; links are followed, but not in
    circles.

    Raises:
        DataError: There are no class folders or no image files, a class of the validation split
            is missing from the training split, or the layout can be read in two ways.
    """
    splits = folder_splits(root)
    if splits is None:
        listing, ignored = _list_classes(root)
        skipped = _empty_classes(listing) + _describe(ignored, root)
        return _source(root, listing, None, skipped, ("class folders", None))
    listing, ignored = _list_classes(splits.train)
    skipped = _empty_classes(listing)
    validation = None
    if splits.validation is not None:
        validation, more = _list_classes(splits.validation)
        ignored += more
        skipped += _empty_classes(validation)
    skipped += _describe(ignored, root)
    skipped += [
        f"folder {printable(path.relative_to(root))}/ is not read" for path in splits.left_out
    ]
    origin, *held_out = (
        f"{printable(path.relative_to(root))}/" for path in splits[:2] if path is not None
    )
    return _source(root, listing, validation, skipped, (origin, held_out[0] if held_out else None))


def _list_classes(root: Path) -> tuple[Listing, Counter[str]]:
    """Image files of each class, and how many others there were by suffix."""
    classes = subfolders(root)
    loose = [path for path in root.iterdir() if path.is_file() and is_image_name(path.name)]
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
        files = list(walk(folder, root))
        listing[folder.name] = sorted(path for path in files if is_image_name(path.name))
        ignored.update(path.suffix.lower() for path in files if not is_image_name(path.name))
    if not any(listing.values()):
        count = sum(ignored.values())
        raise DataError(
            f"no image among the {count} files in the {len(classes)} folders of {printable(root)}; "
            f"allowed are {' '.join(sorted(IMAGE_SUFFIXES))}; {LAYOUT}"
        )
    return listing, ignored


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


def _source(
    root: Path,
    train: Listing,
    validation: Listing | None,
    skipped: list[str],
    origins: tuple[str, str | None],
) -> Source:
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
        class_names=tuple(printable(name) for name in names),
        train=part,
        validation=held_out,
        origins=origins,
        skipped=tuple(skipped),
        files=tuple(files),
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
