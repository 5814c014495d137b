"""A folder with one folder of images for each class."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nascence.data.companions import companions
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


def read_folder(root: Path, *, label_depth: int | None = None) -> Source:
    """Images named by the folder that they lie in, at any depth.

    Classes are sorted by name; :mod:`nascence.data.layout` says which folders are splits. Hidden
    files, files that are not images by their name, and masks and thumbnails beside photos
    (:mod:`nascence.data.companions`) are left out; links are followed, but not in circles.

    Args:
        root: The folder.
        label_depth: Level of the folders that are classes, from 1: with 2, ``Fruit/Apple`` is one.
            Without it, the first level, below folders that hold nothing but one folder of folders.

    Raises:
        DataError: There are no class folders or no image files, a class of the validation split
            is missing from the training split, or the layout can be read in two ways.
    """
    if label_depth is not None and label_depth < 1:
        raise DataError(f"label_depth is {label_depth}; it must be at least 1, or None")
    splits = folder_splits(root)
    train = _classes_root(root, label_depth) if splits is None else splits.train
    listing, ignored, lines = _list_classes(train, label_depth or 1)
    levels = _levels(train, listing, label_depth or 1)
    validation = None
    if splits is None:
        return _source(root, listing, None, (f"class folders{levels}", None), ignored, lines)
    if splits.validation is not None:
        validation, more, further = _list_classes(splits.validation, label_depth or 1)
        ignored += more
        lines += further
    lines += [
        f"folder {printable(path.relative_to(root))}/ is not read" for path in splits.left_out
    ]
    origin, *held_out = (
        f"{printable(path.relative_to(root))}/" for path in splits[:2] if path is not None
    )
    origins = (f"{origin}{levels}", held_out[0] if held_out else None)
    return _source(root, listing, validation, origins, ignored, lines)


def _classes_root(root: Path, label_depth: int | None) -> Path:
    """The folder of the class folders: one that holds a single folder of folders is entered."""
    folders = subfolders(root)
    while label_depth is None and len(folders) == 1 and len(subfolders(folders[0])) > 1:
        root = folders[0]
        folders = subfolders(root)
    return root


def _list_classes(root: Path, depth: int) -> tuple[Listing, Counter[str], list[str]]:
    """Image files of each class, how many others there were by suffix, and lines about them."""
    folders = subfolders(root)
    if not folders:
        loose = [path for path in root.iterdir() if path.is_file() and is_image_name(path.name)]
        got = f"{len(loose)} images but no class folders" if loose else "no folders and no images"
        raise DataError(
            f"{printable(root)} has {got}; {LAYOUT}: put the images of each class in a folder "
            "of its own"
        )
    listing: Listing = {}
    ignored: Counter[str] = Counter()
    shallow = [path for path in root.iterdir() if path.is_file()]
    inside = [path for folder in folders for path in walk(folder, root)]
    beside, lines = companions(path for path in inside if is_image_name(path.name))
    for path in (*shallow, *inside):
        above = path.relative_to(root).parts[:-1]
        if path in beside:
            continue
        if not is_image_name(path.name):
            if above:
                ignored[path.suffix.lower()] += 1
        elif len(above) < depth:
            ignored["image outside the class folders"] += 1
        else:
            listing.setdefault("/".join(above[:depth]), []).append(path)
    if not listing:
        raise DataError(
            f"no image among the {len(inside)} files in the {len(folders)} folders of "
            f"{printable(root)} lies {depth} folder{'s' if depth > 1 else ''} deep; allowed are "
            f"{' '.join(sorted(IMAGE_SUFFIXES))}; {LAYOUT}"
        )
    empty = () if depth > 1 else (folder.name for folder in folders if folder.name not in listing)
    lines = [f"class folder {printable(name)} holds no image file" for name in empty] + [
        f"{line} are not read" for line in lines
    ]
    return {name: sorted(files) for name, files in listing.items()}, ignored, lines


def _levels(root: Path, listing: Listing, depth: int) -> str:
    """How many classes there would be at other levels of the folders, in words."""
    parts = [path.relative_to(root).parts[:-1] for files in listing.values() for path in files]
    counts = {
        level: len({names[:level] for names in parts})
        for level in range(1, min(max(map(len, parts)), 5) + 1)
    }
    first = {count: level for level, count in reversed(counts.items())}
    others = [
        f"{count:,} with --label-depth {level}"
        for level, count in counts.items()
        if level == first[count] and count > 1 and count != counts[depth]
    ]
    return f", level {depth} of the folders ({', '.join(others)})" if others else ""


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
    origins: tuple[str, str | None],
    ignored: Counter[str],
    lines: list[str],
) -> Source:
    names = sorted(train)
    unknown = sorted(set(validation or ()) - set(names))
    if unknown:
        raise DataError(
            f"class {printable(unknown[0])!r} of the validation folder in {printable(root)} "
            f"has no training images; allowed are the {len(names)} classes of the training "
            "folder: add its images there or remove it"
        )
    files = [
        path
        for listing in (train, validation or {})
        for name in names
        for path in listing.get(name, [])
    ]
    return Source(
        class_names=tuple(printable(name) for name in names),
        train=_encoded(root, train, names),
        validation=None if validation is None else _encoded(root, validation, names),
        origins=origins,
        skipped=(*lines, *_describe(ignored, root)),
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
