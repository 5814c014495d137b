"""GanSettings of a search for generators."""

import pytest

from nascence.gan.settings import GanSettings, published_growth

GOOD = {
    "round_steps": 10,
    "controller_steps": 3,
    "samples": 1,
    "controller_rate": 1e-3,
    "entropy": 1e-3,
    "baseline_decay": 0.9,
    "hidden": 10,
    "candidates": 10,
    "kept": 5,
    "images": 50,
    "batch_size": 8,
    "generated": 8,
    "critic_steps": 5,
    "rates": (1e-3, 1e-3),
    "reset_window": 500,
    "reset_variance": 1e-3,
    "discriminator_width": 8,
    "grow": (0.2, 0.5),
}


def test_stages_grow_as_published() -> None:
    assert published_growth(3) == (15 / 65, 35 / 65)
    assert published_growth(1) == ()
    assert published_growth(2) == (20 / 50,)
    assert published_growth(4) == (15 / 80, 30 / 80, 50 / 80)


def test_settings_are_described() -> None:
    described = GanSettings(**GOOD).described()
    assert described["round steps"] == 10
    assert described["grow"] == (0.2, 0.5)
    assert len(described) == len(GOOD)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"round_steps": 0}, "round_steps is 0; give 1 or more"),
        ({"controller_steps": -1}, "controller_steps is -1; give 0 or more"),
        ({"images": 1}, "images is 1; give 2 or more"),
        ({"kept": 11}, "kept is 11 of 10 candidates"),
        ({"reset_variance": -1.0}, "neither may be negative"),
        ({"entropy": float("nan")}, "neither may be negative"),
        ({"grow": (0.5, 0.2)}, "ascending"),
        ({"grow": (0.0, 0.2)}, "ascending"),
    ],
)
def test_impossible_settings(wrong, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GanSettings(**(GOOD | wrong))
