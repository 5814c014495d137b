"""Size, framing and flips are decided by what photos need."""

import dataclasses

import pytest
import torch

from nascence.data import Look
from nascence.design.input_choice import decide
from nascence.design.inputs import Inputs
from nascence.design.trial import Trial


def decided(look: Look, **settings: object) -> Inputs:
    chosen: dict = {"size": 32, "seconds": 60.0, "training_seconds": 60.0, "seed": 0}
    return decide(
        look, **{**chosen, **settings}, device=torch.device("cpu"), progress=lambda *_: None
    )


def test_a_crop_is_not_taken_where_it_cuts_off_what_counts(edges: Look) -> None:
    found = decided(edges)
    assert found.framing in ("squash", "pad")
    figures = {each.what: each.figure for each in found.tried}
    assert figures[found.framing] > figures["crop"] + 0.3


def test_no_mirroring_where_it_swaps_the_classes(halves: Look) -> None:
    found = decided(halves)
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
    halves: Look, monkeypatch: pytest.MonkeyPatch, figures: dict[int, float], cost: float, side: int
) -> None:
    monkeypatch.setattr(Trial, "seconds_per_sample", lambda *_: cost)
    monkeypatch.setattr(Trial, "trained", lambda trial, inputs, _: figures[inputs.side])
    assert decided(halves, size=None).side == side


def test_few_photos_decide_nothing(halves: Look) -> None:
    few = dataclasses.replace(halves, photos=halves.photos[:4], labels=halves.labels[:4])
    assert decided(few) == Inputs(32)
