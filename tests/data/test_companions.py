"""Masks and thumbnails are told from photos that happen to be named alike."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nascence.data.companions import companions
from nascence.data.folder import read_folder


def photo(seed: int, side: int = 48) -> Image.Image:
    values = np.random.default_rng(seed).integers(40, 200, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((side, side), Image.Resampling.BICUBIC)


def mask(seed: int) -> Image.Image:
    values = np.random.default_rng(seed).random((4, 4)) < 0.3
    return Image.fromarray(values.astype(np.uint8) * 255).resize((48, 48), Image.Resampling.NEAREST)


def kept(root: Path) -> set[str]:
    left_out, _ = companions(path for path in root.rglob("*.*"))
    return {str(path.relative_to(root)) for path in root.rglob("*.*") if path not in left_out}


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("{}.png", "mask"), ("{}_mask.png", "mask"), ("mask-{}.jpg", "mask"),
        ("masks/{}.png", "mask"), ("{}_thumb.jpg", "thumbnail"), ("thumbs/{}.jpg", "thumbnail"),
        ("{}.bmp", "duplicate"),
    ],
)  # fmt: skip
def test_what_lies_beside_photos_is_left_out(tmp_path: Path, place: str, kind: str) -> None:
    for number in range(6):
        photo(number).save(tmp_path / f"{number}.jpg", quality=95)
        beside = tmp_path / place.format(number)
        beside.parent.mkdir(exist_ok=True)
        image = {"mask": mask, "thumbnail": lambda n: photo(n, 16), "duplicate": photo}[kind](
            number
        )
        image.save(beside)
    assert kept(tmp_path) == {f"{number}.jpg" for number in range(6)}
    (line,) = companions(tmp_path.rglob("*.*"))[1]
    assert line.startswith(f"6 {kind}s beside photos of the same name (first: ")


@pytest.mark.parametrize("place", ["{}.png", "{}_small.jpg", "mask/{}.jpg"])
def test_photos_of_one_name_stay(tmp_path: Path, place: str) -> None:
    for number in range(6):
        photo(number).save(tmp_path / f"{number}.jpg")
        beside = tmp_path / place.format(number)
        beside.parent.mkdir(exist_ok=True)
        photo(100 + number).save(beside)
    assert len(kept(tmp_path)) == 12


def test_classes_named_like_masks_are_classes(tmp_path: Path) -> None:
    for place, name in enumerate(("mask", "no_mask")):
        (tmp_path / name).mkdir()
        for number in range(5):
            photo(10 * place + number).save(tmp_path / name / f"{number}.jpg")
    assert read_folder(tmp_path).class_names == ("mask", "no_mask")
    assert len(read_folder(tmp_path).train.labels) == 10


def test_an_unreadable_companion_decides_nothing(tmp_path: Path) -> None:
    photo(0).save(tmp_path / "0.jpg")
    (tmp_path / "0.png").write_bytes(b"nothing")
    assert len(kept(tmp_path)) == 2
