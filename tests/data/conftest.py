"""Every test has a cache of its own, and images to write."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Paint = Callable[..., Image.Image]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("NASCENCE_CACHE", str(folder))
    return folder


@pytest.fixture
def paint() -> Paint:
    """A random image; the same arguments give the same image."""

    def paint(width: int = 8, height: int = 8, *, mode: str = "RGB", seed: int = 0) -> Image.Image:
        values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        return Image.fromarray(values).convert(mode)

    return paint


@pytest.fixture
def class_folders(tmp_path: Path, paint: Paint) -> Callable[..., Path]:
    """Write ``root/CLASS/NUMBER.png`` and return the root."""

    def write(
        counts: dict[str, int], *, root: str = "set", width: int = 8, height: int = 8
    ) -> Path:
        folder = tmp_path / root
        for number, (name, count) in enumerate(counts.items()):
            (folder / name).mkdir(parents=True)
            for index in range(count):
                image = paint(width, height, seed=1000 * number + index)
                image.save(folder / name / f"{index}.png")
        return folder

    return write
