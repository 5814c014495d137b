"""A small network as ONNX, and photos of every kind on which it was made."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nascence.data import Dataset, load
from nascence.export import export_onnx

SIDE = 16


class Made(NamedTuple):
    """A network, the file that it was written to, and the data that it is for."""

    model: nn.Module
    path: Path
    data: Dataset
    photos: Path


def make_photos(root: Path, *, grey: bool = False) -> Path:
    """Two classes of eight images: JPEG and PNG, turned, transparent, indexed, and 16 bits."""
    rng = np.random.default_rng(0)
    for name, channel in (("cats", 0), ("dogs", 2)):
        (root / name).mkdir(parents=True)
        for index in range(8):
            height, width = rng.integers(40, 90, 2)
            noise = rng.integers(0, 120, (height // 8, width // 8, 3), dtype=np.uint8)
            noise[..., channel] += 120
            image = Image.fromarray(noise).resize(
                (int(width), int(height)), Image.Resampling.BICUBIC
            )
            _save(image.convert("L") if grey else image, root / name, index, grey)
    return root


def _save(image: Image.Image, folder: Path, index: int, grey: bool) -> None:
    if index == 0:
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by a quarter
        image.save(folder / "0.jpg", exif=exif, quality=90)
    elif index == 1 and not grey:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        image.save(folder / "1.png")
    elif index == 2 and not grey:
        image.quantize(32).save(folder / "2.png")
    elif index == 3:
        image.convert("L").save(folder / "3.png")
    else:
        image.save(folder / f"{index}.{'jpg' if index % 2 else 'png'}")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_network(tmp_path_factory.mktemp("colour"), grey=False)


@pytest.fixture(scope="session")
def made_grey(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_network(tmp_path_factory.mktemp("grey"), grey=True)


def make_network(folder: Path, *, grey: bool) -> Made:
    photos = make_photos(folder / "photos", grey=grey)
    data = load(photos, size=SIDE, cache=False)
    channels = data.image_shape[0]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Linear(32, 2),
        )  # fmt: skip
    path = folder / "model.onnx"
    export_onnx(model, path, data=data)
    return Made(model.eval(), path, data, photos)


@pytest.fixture
def change_metadata(made: Made, tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """A copy of the file with other metadata."""
    import onnx

    def change(properties: dict[str, str]) -> Path:
        proto = onnx.load(made.path)
        del proto.metadata_props[:]
        onnx.helper.set_model_props(proto, properties)
        onnx.save(proto, tmp_path / "other.onnx")
        return tmp_path / "other.onnx"

    return change
