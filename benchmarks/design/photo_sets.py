"""Hold out test photos of the public photo sets, before anything has seen them.

    python -m benchmarks.design.photo_sets --checkouts CHECKOUTS --out photo-sets

CHECKOUTS holds checkouts of the repositories named in SETS, each in a folder of the repository's
name. Of each set, OUT/SET/photos becomes what a user would have, with all that lies beside the
photos but without the held-out ones, and OUT/SET/test/CLASS the latter. The images belong to the
authors of the sets and are never part of this repository.
"""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import ledger


@dataclass(frozen=True)
class PhotoSet:
    """Where a set is found and how it is read.

    Attributes:
        repository: On GitHub; its last part names the folder of the checkout.
        folder: Of the photos, in the checkout.
        suffixes: Of the photos, where other images lie beside them.
        held_out: A folder of the set that is the test; without it, one photo in five is.
        depth: Level of the folders that are classes.
    """

    repository: str
    folder: str = "."
    suffixes: tuple[str, ...] = (".jpg", ".jpeg", ".png")
    held_out: str | None = None
    depth: int = 1


SETS = {
    "signs": PhotoSet("ardamavi/Sign-Language-Digits-Dataset", "Dataset"),
    "tiles": PhotoSet("abin24/Magnetic-tile-defect-datasets.", suffixes=(".jpg",)),
    "masks": PhotoSet("chandrikadeb7/Face-Mask-Detection", "dataset"),
    "groceries": PhotoSet("marcusklasson/GroceryStoreDataset", "dataset", held_out="test", depth=2),
}
SHARE, SEED = 0.2, 17
LEFT_OUT = {"iconic-images-and-descriptions"}


def hold_out(chosen: PhotoSet, checkout: Path, out: Path) -> tuple[int, int]:
    """Make ``out/photos`` and ``out/test``; the number of photos in each."""
    source = checkout / chosen.folder
    files = sorted(path for path in source.rglob("*") if path.is_file() and path.name[0] != ".")
    files = [path for path in files if not LEFT_OUT & set(path.relative_to(source).parts)]
    photos = [path for path in files if path.suffix.lower() in chosen.suffixes]
    photos = [path for path in photos if len(path.relative_to(source).parts) > 1]
    tests = _tests(chosen, source, photos)
    stems = {path.with_suffix("") for path in tests}
    for path in files:
        place = path.relative_to(source)
        if path in tests:
            below = place.relative_to(chosen.held_out) if chosen.held_out else place
            name = "/".join(below.parts[: chosen.depth])
            target = out / "test" / name.replace("/", "+") / "+".join(below.parts[chosen.depth :])
        elif path.with_suffix("") in stems and path.suffix.lower() not in chosen.suffixes:
            continue
        else:
            target = out / "photos" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return len(photos) - len(tests), len(tests)


def _tests(chosen: PhotoSet, source: Path, photos: Sequence[Path]) -> set[Path]:
    if chosen.held_out:
        return {path for path in photos if path.relative_to(source).parts[0] == chosen.held_out}
    generator = np.random.default_rng(SEED)
    classes: dict[tuple[str, ...], list[Path]] = {}
    for path in photos:
        classes.setdefault(path.relative_to(source).parts[: chosen.depth], []).append(path)
    held_out: set[Path] = set()
    for members in classes.values():
        order = generator.permutation(len(members))[: max(round(SHARE * len(members)), 1)]
        held_out |= {members[place] for place in order}
    return held_out


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--checkouts", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("photo-sets"))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options: argparse.Namespace = ledger.parse(parser, words)
    with ledger.Report(options) as report:
        table = report.table("Photos", "set", "repository", "photos to design from", "held out")
        for name in options.sets:
            chosen = SETS[name]
            checkout = options.checkouts / chosen.repository.split("/")[1]
            table.row(name, chosen.repository, *hold_out(chosen, checkout, options.out / name))


if __name__ == "__main__":
    main()
