"""A detector learns, goes on bit-equal, and stops where it diverges."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nascence.core.resumable import CheckpointError
from nascence.data import Split
from nascence.detect.detector import Detector
from nascence.detect.scenes import Scenes
from nascence.detect.training import (
    detect_all,
    evaluate_detector,
    train_detector,
)
from nascence.training import DivergenceError, adamw

from .test_detector import detector


def scenes(seed: int = 0) -> Scenes:
    """Squares of one colour, red or blue, on coloured noise."""
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    images[0, 0], images[1, 2] = 255, 255
    source = Split(images, torch.arange(2))
    return Scenes(source, size=32, objects=(1, 2), sides=(12, 28), seed=seed)


def normalise(images: Tensor) -> Tensor:
    return images.float() / 127.5 - 1


SETTINGS = {"normalise": normalise, "optimizer": adamw(5e-3), "batch_size": 4}


def test_learns_and_leaves_the_detector_alone() -> None:
    model = detector(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = train_detector(model, scenes(), steps=250, **SETTINGS)  # type: ignore[arg-type]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert result.steps == 250
    assert len(result.losses) == 100
    first = evaluate_detector(model, scenes(9), normalise=normalise, count=20)
    after = evaluate_detector(result.detector, scenes(9), normalise=normalise, count=20)
    assert after.ap50 > first.ap50 + 0.3


class Stopped(Exception):
    pass


def test_a_training_broken_off_goes_on_bit_equal(tmp_path: Path) -> None:
    whole = train_detector(detector(2), scenes(), steps=8, **SETTINGS)  # type: ignore[arg-type]
    file = tmp_path / "run.pt"

    def stop(step: int, loss: float) -> None:
        if step == 5:
            raise Stopped

    settings = {**SETTINGS, "checkpoint": file, "checkpoint_seconds": 0.0}
    with pytest.raises(Stopped):
        train_detector(detector(2), scenes(), steps=8, progress=stop, **settings)  # type: ignore[arg-type]
    steps: list[int] = []
    resumed = train_detector(
        detector(2),
        scenes(),
        steps=8,
        progress=lambda step, loss: steps.append(step),
        **settings,  # type: ignore[arg-type]
    )
    assert steps == [6, 7, 8]
    assert resumed.losses == whole.losses
    for one, other in zip(resumed.detector.parameters(), whole.detector.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(CheckpointError, match="of another training"):
        train_detector(detector(2), scenes(), steps=9, **settings)  # type: ignore[arg-type]


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    model: Detector = detector(2)
    with torch.no_grad():
        model.head.class_output.weight.fill_(float("nan"))
    with pytest.raises(DivergenceError, match="at step 0"):
        train_detector(model, scenes(), steps=2, **SETTINGS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="steps=0"):
        train_detector(model, scenes(), steps=0, **SETTINGS)  # type: ignore[arg-type]


def test_all_scenes_asked_for_are_looked_at_in_evaluation_mode() -> None:
    model = detector(2).train()
    modes: list[bool] = []
    model.head.register_forward_hook(lambda module, i, o: modes.append(module.training))
    found, truths = detect_all(model, scenes(), normalise=normalise, count=5, first=3, batch_size=2)
    assert len(found) == len(truths) == 5
    assert torch.equal(truths[4].boxes, scenes()[7].objects.boxes)
    assert modes == [False] * 3
    assert model.training
