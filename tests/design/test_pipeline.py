"""Images of any side, classes and devices at the start of a run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nascence.design import pipeline
from nascence.design.folder import RunError
from nascence.design.settings import DesignSettings
from nascence.export import ExportError


def npz(path: Path, height: int, width: int) -> str:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, height, width, 3), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(20) % 2)
    return str(path)


@pytest.mark.parametrize(
    ("shape", "side"), [((12, 12), 12), ((13, 13), 12), ((16, 20), 16), ((30, 22), 24)]
)
def test_images_are_brought_to_a_square(tmp_path: Path, shape: tuple[int, int], side: int) -> None:
    settings = DesignSettings(data=npz(tmp_path / "a.npz", *shape))
    data = pipeline.load_data(settings, pipeline.silent)
    assert data.image_shape == (3, side, side)


def test_number_of_classes(tmp_path: Path) -> None:
    source = npz(tmp_path / "a.npz", 8, 8)
    more = pipeline.load_data(DesignSettings(data=source, classes=4), pipeline.silent)
    assert more.class_names == ("0", "1", "2", "3")
    few = DesignSettings(data="cifar10-sample", classes=2, size=8)
    with pytest.raises(RunError, match="10 classes, more than --classes 2"):
        pipeline.load_data(few, pipeline.silent)


def test_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pipeline.device_of(DesignSettings()) == torch.device("cpu")
    with pytest.raises(RunError, match="torch sees no GPU; use --device cpu"):
        pipeline.device_of(DesignSettings(device="cuda"))


def test_an_opset_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="opset 17 was asked for"):
        pipeline.design(tmp_path / "run", DesignSettings(data=str(tmp_path / "none"), opset=17))
    assert not list(tmp_path.iterdir())
