"""What a network is shown: the size of the images, their framing, and which flips are allowed."""

import math
import os
from dataclasses import dataclass, field
from typing import Any

from nascence.data import Look
from nascence.data.decode import SIZES, Framing, choose_size
from nascence.design.folder import RunError
from nascence.design.settings import DesignSettings

LEAST_EPOCHS, LEAST_SAMPLES = 2, 4_000
SPEED = 1e10
"""Multiply-adds in a second that every machine does, for a rough estimate."""


@dataclass(frozen=True)
class Tried:
    """One choice that was tried, and its figure on the photos held out, in [0, 1]."""

    what: str
    figure: float


@dataclass(frozen=True)
class Inputs:
    """What was decided.

    Attributes:
        side: Pixels.
        framing: How images of another shape become squares.
        flip: Whether training mirrors images left to right.
        flip_vertically: Whether it turns them upside down.
        seconds: That deciding took.
        tried: What was measured.
    """

    side: int
    framing: Framing = "crop"
    flip: bool = True
    flip_vertically: bool = False
    seconds: float = 0.0
    tried: tuple[Tried, ...] = field(default=())

    @property
    def augmentation(self) -> dict[str, Any]:
        """Keywords of :func:`nascence.train` that suit these images."""
        photos = self.side > 40
        return {
            "flip": self.flip,
            "flip_vertically": self.flip_vertically,
            "crop": max(self.side // 8, 1),
            "zoom": 0.2 if photos else 0.0,
            "light": 0.15 if photos else 0.0,
        }

    def metadata(self, image_shape: tuple[int, int, int]) -> dict[str, str]:
        """What a user of the ONNX file must do to a photo, for images ``(C, H, W)``."""
        channels, height, width = image_shape
        return {
            "input_size": f"{height}x{width}",
            "input_framing": self.framing,
            "input_interpolation": "bicubic with antialiasing",
            "input_colours": "grey" if channels == 1 else "RGB",
            "input_range": "0 to 1",
        }

    def said(self) -> str:
        """The decisions in a sentence."""
        flips = [
            name
            for name, allowed in (("mirrored", self.flip), ("turned over", self.flip_vertically))
            if allowed
        ]
        words = {"crop": "cropped at the centre", "squash": "squashed", "pad": "padded"}
        text = f"Images are {words[self.framing]} to {self.side} pixels"
        text += f"; in training they are {' and '.join(flips) if flips else 'not flipped'}."
        if self.tried:
            figures = ", ".join(f"{each.what} {each.figure:.1%}" for each in self.tried)
            text += f" Tried on photos held out from training: {figures}."
        return text


def untried(look: Look, size: int | None) -> Inputs:
    """What is taken where nothing may be measured."""
    side = size or min(choose_size(look.sizes))
    return Inputs(max(4 * round(side / 4), 8))


def check_budget(look: Look, settings: DesignSettings) -> None:
    """Refuse a budget in which a network would hardly see an image.

    Raises:
        RunError: The message names a budget that would do.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    count = look.train + look.held_out
    side = settings.size or SIZES[0]
    samples = min(LEAST_EPOCHS * look.train, LEAST_SAMPLES)
    macs = 3 * 2e6 * (side / 32) ** 2
    work = samples * macs / SPEED
    needed = look.seconds * count / min(cores, 4) + work / 0.4 + 2
    if needed > settings.budget:
        enough = 15 * math.ceil(1.5 * needed / 15)
        words = f"{enough}s" if enough < 120 else f"{math.ceil(enough / 60)}m"
        raise RunError(
            f"--budget {settings.budget:g}s is too short for {count:,} images on this machine: to "
            f"read them and see each of them {LEAST_EPOCHS} times takes about {needed:.0f} s; "
            f"--budget {words} would do"
        )


def balance_of(uneven: bool) -> float:
    """How far classes are shown equally often: by the square root of their size, if at all."""
    return 0.5 if uneven else 0.0
