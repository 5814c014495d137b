"""Images that lie beside photos and are none: masks, thumbnails, copies in another format.

A name only suggests that an image belongs to another one; some of them are looked at before any is
left out, so that photos that happen to be named alike stay.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nascence.data.decode import UnusableImageError, decode, open_image, read_bytes, reduced
from nascence.data.errors import printable
from nascence.data.source import evenly

_KINDS = (
    *("mask", "masks", "seg", "segmentation", "gt", "groundtruth", "label", "labels"),
    *("annotation", "annotations", "annotated", "overlay", "overlays", "thumb", "thumbs"),
    *("thumbnail", "thumbnails", "small", "preview", "previews", "copy"),
)
_ANY = "|".join(_KINDS)
_NAMED = re.compile(rf"^(?:(?:{_ANY})[ _.-]+)?(.+?)(?:[ _.-]+(?:{_ANY})\d*)?$")
LOOKED_AT = 8
"""Pairs of each kind that are opened."""
AGREEMENT = 0.75
"""Share of them that must look like a photo and what belongs to it."""


class Companion(NamedTuple):
    """An image and the photo that it lies beside."""

    file: Path
    photo: Path


def companions(files: Iterable[Path]) -> tuple[set[Path], list[str]]:
    """Find the images that belong to a photo among ``files``.

    Returns:
        The files to leave out, and one line for each kind of them.
    """
    left_out: set[Path] = set()
    lines = []
    for pairs in _suggested(files).values():
        looks = [_looks(pairs[place]) for place in evenly(len(pairs), LOOKED_AT)]
        known = [each for each in looks if each is not None]
        found = [each for each in known if each]
        if not known or len(found) < AGREEMENT * len(known):
            continue
        left_out |= {pair.file for pair in pairs}
        first, kind = pairs[0], max(set(found), key=found.count)
        lines.append(
            f"{len(pairs):,} {kind}{'' if len(pairs) == 1 else 's'} beside photos of the same name "
            f"(first: {printable(first.file.name)} beside {printable(first.photo.name)})"
        )
    return left_out, lines


def _suggested(files: Iterable[Path]) -> dict[tuple[str, ...], list[Companion]]:
    """Pairs that names suggest, by what tells the name of one from that of the other."""
    by_stem: dict[tuple[Path, str], list[Path]] = {}
    marked: list[tuple[Path, tuple[Path, str], str]] = []
    for file in files:
        by_stem.setdefault((file.parent, file.stem.lower()), []).append(file)
        stem = file.stem.lower()
        if (match := _NAMED.match(stem)) and match[1] != stem:
            marked.append((file, (file.parent, match[1]), stem.replace(match[1], "*")))
        if file.parent.name.lower() in _KINDS:
            outer = file.parent.parent
            inner = match[1] if match else stem
            for folder in (outer, outer / "images", outer / "imgs", outer / "photos"):
                marked.append((file, (folder, inner), f"{file.parent.name.lower()}/"))
    groups: dict[tuple[str, ...], list[Companion]] = {}
    for same in by_stem.values():
        photo, *others = sorted(same, key=_preference)
        for other in others:
            key = (photo.suffix.lower(), other.suffix.lower())
            groups.setdefault(key, []).append(Companion(other, photo))
    for file, place, how in marked:
        if place in by_stem and (photo := min(by_stem[place], key=_preference)) != file:
            groups.setdefault((how,), []).append(Companion(file, photo))
    return groups


def _preference(file: Path) -> tuple[bool, str]:
    """JPEG before all others: cameras write it, and nobody draws a mask in it."""
    return file.suffix.lower() not in (".jpg", ".jpeg", ".jpe", ".jfif", ".heic"), file.name


def _looks(pair: Companion) -> str | None:
    """What the image is to the photo in a word, "" for a photo of its own, None if unreadable."""
    try:
        image = open_image(read_bytes(pair.file))
        photo = open_image(read_bytes(pair.photo))
        areas = image.width * image.height, photo.width * photo.height
        own, other = (np.asarray(reduced(path, 512).convert("L"), np.float64) for path in pair)
        small = [
            decode(path, (64, 64), grey=False, framing="squash").astype(np.float64).mean(2)
            for path in pair
        ]
    except UnusableImageError:
        return None
    if _is_mask(own) and not _is_mask(other):
        return "mask"
    if _likeness(*small) < 0.9:
        return ""
    return "thumbnail" if areas[0] < 0.8 * areas[1] else "duplicate"


def _is_mask(pixels: NDArray[np.float64]) -> bool:
    """Whether nearly all pixels are of the two extremes, or of very few values."""
    extreme = ((pixels < 10) | (pixels > 245)).mean()
    return bool(extreme > 0.93) or len(np.unique(pixels.round())) <= 16


def _likeness(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Correlation of two images of one size; 0 where one is flat."""
    spread = first.std() * second.std()
    covariance = ((first - first.mean()) * (second - second.mean())).mean()
    return float(covariance / spread) if spread > 1e-6 else 0.0
