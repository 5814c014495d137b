"""Size, framing and flips are decided by what photos need."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from nascence.data import Look
from nascence.design import inputs
from nascence.design.folder import RunError
from nascence.design.inputs import Inputs, check_budget, decide
from nascence.design.settings import DesignSettings


def look_at(paint: Callable[[int, np.random.Generator], Image.Image], classes: int) -> Look:
    generator = np.random.default_rng(0)
    labels = np.arange(160) % classes
    photos = tuple(paint(int(label), generator) for label in labels)
    return Look(
        photos=photos,
        labels=labels,
        sizes=tuple((photo.height, photo.width) for photo in photos),
        grey=False,
        train=160,
        held_out=0,
        classes=classes,
        seconds=0.001,
    )


def noise(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    return generator.integers(90, 160, (height, width, 3), dtype=np.uint8)


def at_the_edge(label: int, generator: np.random.Generator) -> Image.Image:
    """Wide, with what tells the classes apart where a centred crop does not reach."""
    pixels = noise(generator, 40, 120)
    pixels[10:30, 2:30, label] = 255
    return Image.fromarray(pixels)


def pointing(label: int, generator: np.random.Generator) -> Image.Image:
    """A bright half to the left or to the right."""
    pixels = noise(generator, 40, 40)
    pixels[:, 20 * label : 20 * label + 20] += 80
    return Image.fromarray(pixels)


def decided(look: Look, **settings: object) -> Inputs:
    chosen: dict = {"size": 32, "seconds": 60.0, "training_seconds": 60.0, "seed": 0}
    return decide(
        look, **{**chosen, **settings}, device=torch.device("cpu"), progress=lambda *_: None
    )


def test_a_crop_is_not_taken_where_it_cuts_off_what_counts() -> None:
    found = decided(look_at(at_the_edge, 3))
    assert found.framing in ("squash", "pad")
    figures = {each.what: each.figure for each in found.tried}
    assert figures[found.framing] > figures["crop"] + 0.3


def test_no_mirroring_where_it_swaps_the_classes() -> None:
    found = decided(look_at(pointing, 2))
    assert (found.side, found.framing, found.flip) == (32, "crop", False)
    assert found.augmentation["flip"] is False
    assert "Images are cropped at the centre to 32 pixels" in found.said()


@pytest.mark.parametrize(
    ("figures", "cost", "side"),
    [
        ({32: 0.8, 48: 0.9, 64: 0.89}, 1e-6, 64),  # within the noise of the best: the largest
        ({32: 0.8, 48: 0.9, 64: 0.5}, 1e-6, 48),
        ({32: 0.9, 48: 0.2, 64: 0.2}, 1e-6, 32),
        ({32: 0.1, 48: 0.9, 64: 0.9}, 1.0, 32),  # nothing larger is affordable, nothing is tried
    ],
)
def test_the_largest_size_within_the_noise_is_taken(
    monkeypatch: pytest.MonkeyPatch, figures: dict[int, float], cost: float, side: int
) -> None:
    monkeypatch.setattr(inputs, "_seconds_per_sample", lambda *_: cost)
    monkeypatch.setattr(inputs, "_trained", lambda trial, side, *_: figures[side])
    look = look_at(lambda label, rng: pointing(label, rng).resize((64, 64)), 2)
    assert decided(look, size=None).side == side


def test_a_short_training_has_a_figure() -> None:
    trial = inputs._Trial(look_at(pointing, 2), 0, torch.device("cpu"))
    assert inputs._seconds_per_sample(trial, 32, Inputs(32)) > 0
    assert 0 <= inputs._trained(trial, 32, Inputs(32, flip=False), 0.2) <= 1


def test_a_budget_that_is_too_short_names_one_that_does() -> None:
    look = look_at(pointing, 2)
    slow = Look(**{**vars(look), "seconds": 0.1, "train": 60_000})
    with pytest.raises(RunError, match=r"too short for 60,000 images .* --budget \d+m would do"):
        check_budget(slow, DesignSettings(budget=60.0))
    check_budget(look, DesignSettings(budget=60.0))
    check_budget(slow, DesignSettings(budget=60_000.0))
    with pytest.raises(RunError, match=r"--budget 0\.01s is too short"):
        check_budget(look, DesignSettings(budget=0.01))


def test_few_photos_decide_nothing() -> None:
    look = look_at(pointing, 2)
    few = Look(**{**vars(look), "photos": look.photos[:4], "labels": look.labels[:4]})
    assert decided(few) == Inputs(32)
    assert inputs.balance_of(True) > inputs.balance_of(False) == 0
