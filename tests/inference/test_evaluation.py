"""A network is measured on the right images, with classes matched by name."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from nascence.design.settings import DesignSettings
from nascence.inference import ClassifierError, read_classifier
from nascence.inference.evaluation import measure
from tests.inference.conftest import SIDE, Made


def accuracy(made: Made, images: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        predicted = made.model(made.data.normalise(images)).argmax(1)
    return float((predicted == labels).float().mean())


def test_all_images_count_where_there_are_no_splits(made: Made) -> None:
    found = measure(read_classifier(made.path), made.photos)
    train, validation = made.data.train, made.data.validation
    expected = accuracy(
        made,
        torch.cat([train.images, validation.images]),
        torch.cat([train.labels, validation.labels]),
    )
    assert found.quality.images == 16
    assert found.quality.accuracy == pytest.approx(expected)
    assert found.origin == "class folders"


def test_the_validation_images_count_where_there_are_some(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.photos, tmp_path / "photos" / "train")
    shutil.copytree(made.photos / "cats", tmp_path / "photos" / "val" / "cats")
    found = measure(read_classifier(made.path), tmp_path / "photos")
    assert found.quality.images == 8
    assert found.quality.confusion[1].sum() == 0
    assert found.origin == "val/"


def test_on_its_own_data_a_run_is_measured_on_what_it_held_out(made: Made, tmp_path: Path) -> None:
    shutil.copy(made.path, tmp_path / "model.onnx")
    settings = DesignSettings(data=str(made.photos), size=SIDE)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    found = measure(read_classifier(tmp_path), made.photos)
    assert found.quality.images == len(made.data.validation)
    assert "did not train on" in found.origin
    assert found.quality.accuracy == pytest.approx(
        accuracy(made, made.data.validation.images, made.data.validation.labels)
    )


def test_classes_are_matched_by_name(made: Made, tmp_path: Path) -> None:
    """Only dogs: their label is 0 in the data and 1 in the network."""
    shutil.copytree(made.photos / "dogs", tmp_path / "p" / "dogs")
    found = measure(read_classifier(made.path), tmp_path / "p")
    assert found.quality.confusion[1].sum() == 8
    (tmp_path / "p" / "dogs").rename(tmp_path / "p" / "wolves")
    with pytest.raises(ClassifierError, match="'wolves' that the network does not know"):
        measure(read_classifier(made.path), tmp_path / "p")


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_with_numbers_for_classes(made: Made, tmp_path: Path, channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 20, 20, channels), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=images.squeeze(-1) if channels == 1 else images,
             labels=np.array([0, 1] * 3))  # fmt: skip
    found = measure(read_classifier(made.path), tmp_path / "x.npz")
    assert found.quality.images == 6
    assert found.quality.confusion.sum(1).tolist() == [3, 3]


def test_unreadable_images_are_named(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.photos, tmp_path / "p")
    (tmp_path / "p" / "cats" / "9.png").write_bytes(b"x")
    found = measure(read_classifier(made.path), tmp_path / "p")
    assert found.quality.images == 16
    assert found.skipped == ("cats/9.png is not a readable image",)
