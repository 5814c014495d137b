"""Networks, images and the last accuracies of a meta-training."""

import json
from pathlib import Path

import torch

from nascence.data import load
from nascence.jobs.ghn_validation import floats, last_validation


def test_images_have_three_channels() -> None:
    data = load("cifar10-sample", size=8)
    images, labels = floats(data, data.train, 5)
    assert images.shape == (5, 3, 8, 8)
    assert images.is_floating_point()
    assert torch.equal(labels, data.train.labels[:5])


def test_the_last_validation_of_a_log(tmp_path: Path) -> None:
    assert last_validation(tmp_path) == {}
    rows = [{"step": 1, "accuracy_val": 0.1}, {"step": 2, "accuracy_val": 0.2}, {"step": 3}]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert last_validation(tmp_path) == {"accuracy_val": 0.2}
