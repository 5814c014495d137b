"""What a network is shown: the size of the images, their framing, and which flips are allowed.

All three are decided on a look at some training photos, of which a third is held out.
"""

import dataclasses
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nascence.data import Dataset, Look, Split
from nascence.data.decode import FRAMINGS, SIZES, Framing, choose_size
from nascence.design import classic, recipe
from nascence.design.folder import RunError
from nascence.design.hand import hand_design
from nascence.design.settings import DesignSettings
from nascence.training import evaluate, mean_recall, train

LARGEST = 160
"""Pixels beyond which no size is tried; ``--size`` may ask for more."""
HELD_OUT = 3
FEWEST_PHOTOS = 150
WIDTH = 32
"""Channels of the network on which sizes are tried."""
FEWEST_SAMPLES, FEWEST_EPOCHS = 20_000, 4
TRIED = 3
TRIAL_BATCH, PROBE_BATCH = 64, 16
LEAST_EPOCHS, LEAST_SAMPLES = 2, 4_000
SPEED = 1e10
"""Multiply-adds in a second that every machine does, for a rough estimate."""
SQUARE = 1.05
"""Ratio of the sides up to which an image counts as square."""


@dataclass(frozen=True)
class Trial:
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
    tried: tuple[Trial, ...] = field(default=())

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


def decide(
    look: Look,
    *,
    size: int | None,
    seconds: float,
    training_seconds: float,
    seed: int,
    device: torch.device,
    progress: Callable[[float, str], None],
) -> Inputs:
    """Choose size, framing and flips.

    The classic of :mod:`nascence.design.classic` tells framings and flips apart in seconds: a flip
    is allowed if the flipped photos teach it. Sizes are tried in short trainings of a small
    network, each as long as the others: those of which it would see enough images in the time
    that there will be. The largest within a standard error of the best is taken, since a larger
    one gains more from a longer training.

    Args:
        look: Some training photos.
        size: Pixels of a side, where it is given.
        seconds: Time for deciding, about.
        training_seconds: Time that the training will have.
        seed: Chooses what is held out.
        device: Where networks are trained.
        progress: Called with the share that is done, and words.
    """
    started = time.monotonic()
    begun = untried(look, size)
    trial = _Trial(_affordable(look, seconds), seed, device)
    if len(look.photos) < 12 or trial.classes < 2:
        return begun
    ends = started + seconds
    framing, tried = _framing(trial, look, 0.3 * seconds, progress)
    flip, vertically, flips = _flips(trial, framing, started + 0.5 * seconds, progress)
    tried += flips
    chosen = Inputs(begun.side, framing, flip, vertically)
    if size is None and begun.side > SIZES[0]:
        side, sizes = _side(trial, chosen, training_seconds, ends, progress)
        tried += sizes
        chosen = Inputs(side, framing, flip, vertically)
    return Inputs(chosen.side, framing, flip, vertically, time.monotonic() - started, tuple(tried))


def _affordable(look: Look, seconds: float) -> Look:
    """As many photos of a look as the classic can be tried on in about half of the time."""
    started = time.monotonic()
    few = dataclasses.replace(look, photos=look.photos[:32], labels=look.labels[:32])
    classic.features(torch.from_numpy(few.images(classic.SIDE, "squash")))
    each = (time.monotonic() - started) / len(few.photos)
    count = max(int(0.5 * seconds / (5 * each)), FEWEST_PHOTOS)
    return dataclasses.replace(look, photos=look.photos[:count], labels=look.labels[:count])


class _Trial:
    """The photos of a look, a third of them held out."""

    def __init__(self, look: Look, seed: int, device: torch.device) -> None:
        self.look, self.seed, self.device = look, seed, device
        self.train_images = look.train
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(look.photos)))
        part = max(len(order) // HELD_OUT, 1)
        self.held_out, self.held_in = order[:part], order[part:]
        # Only classes that can be learned are judged by.
        labels = torch.from_numpy(np.asarray(look.labels))
        self.labels, self.classes = labels, look.classes
        self.held_out = self.held_out[torch.isin(labels[self.held_out], labels[self.held_in])]
        counts = torch.bincount(labels)
        counts = counts[counts > 0]
        self.uneven = bool(counts.max() >= 1.5 * counts.min())
        self._images: dict[tuple[int, Framing], Tensor] = {}
        self._features: dict[Framing, Tensor] = {}

    def images(self, side: int, framing: Framing) -> Tensor:
        key = (side, framing)
        if key not in self._images:
            self._images[key] = torch.from_numpy(self.look.images(side, framing))
        return self._images[key]

    def figure(self, predicted: Tensor) -> float:
        labels = self.labels[self.held_out]
        if self.uneven:
            return mean_recall(predicted, labels)
        return (predicted == labels).float().mean().item()

    def classic(self, framing: Framing, flipped: int | None = None) -> float:
        """The figure of the classic, taught by flipped copies, too."""
        images, labels = self.images(classic.SIDE, framing), self.labels[self.held_in]
        if framing not in self._features:
            self._features[framing] = classic.features(images)
        found = self._features[framing]
        taught = found[self.held_in]
        if flipped is not None:
            copies = classic.features(images[self.held_in].flip(flipped))
            taught, labels = torch.cat([taught, copies]), torch.cat([labels, labels])
        fitted = classic.fit(
            taught,
            labels,
            self.classes,
            uneven=self.uneven,
            generator=torch.Generator().manual_seed(self.seed),
        )
        return self.figure(fitted(found[self.held_out]).argmax(1))

    def data(self, side: int, framing: Framing) -> Dataset:
        images = self.images(side, framing)
        train, validation = (
            Split(images[part], self.labels[part]) for part in (self.held_in, self.held_out)
        )
        pixels = train.images[:256].float() / 255
        return Dataset(
            name="look",
            train=train,
            validation=validation,
            class_names=tuple(map(str, range(self.classes))),
            mean=tuple(pixels.mean((0, 2, 3)).tolist()),
            std=tuple(pixels.std((0, 2, 3)).clamp_min(1 / 255).tolist()),
            skipped=(),
            fingerprint="look",
        )


def _framing(
    trial: _Trial, look: Look, seconds: float, progress: Callable[[float, str], None]
) -> tuple[Framing, list[Trial]]:
    """The framing with the best figure; the earlier of equal ones."""
    ratios = sorted(max(size) / max(min(size), 1) for size in look.sizes)
    if ratios[int(0.9 * (len(ratios) - 1))] <= SQUARE:
        return "crop", []
    started, figures = time.monotonic(), dict[Framing, float]()
    for place, framing in enumerate(FRAMINGS):
        progress(0.1 * place, f"framing: {framing}")
        figures[framing] = trial.classic(framing)
        if time.monotonic() - started > seconds:
            break
    best = max(figures, key=figures.__getitem__)
    return best, [Trial(framing, figure) for framing, figure in figures.items()]


def _flips(
    trial: _Trial, framing: Framing, ends: float, progress: Callable[[float, str], None]
) -> tuple[bool, bool, list[Trial]]:
    """Whether photos may be mirrored and turned over: if that teaches the classic."""
    progress(0.3, "flips")
    plain = trial.classic(framing)
    if time.monotonic() > ends:
        return True, False, []
    mirrored = trial.classic(framing, -1)
    tried = [Trial("not flipped", plain), Trial("mirrored", mirrored)]
    if time.monotonic() > ends:
        return mirrored >= plain, False, tried
    turned = trial.classic(framing, -2)
    tried.append(Trial("turned over", turned))
    return mirrored >= plain, turned > max(plain, mirrored), tried


def _side(
    trial: _Trial,
    chosen: Inputs,
    training_seconds: float,
    ends: float,
    progress: Callable[[float, str], None],
) -> tuple[int, list[Trial]]:
    """The side with the best figure after short trainings, and what was tried."""
    sides = [side for side in SIZES if side <= min(chosen.side, LARGEST)] or [chosen.side]
    enough = max(FEWEST_SAMPLES, FEWEST_EPOCHS * trial.train_images)
    affordable: list[int] = []
    for side in sides:
        if affordable and training_seconds / _seconds_per_sample(trial, side, chosen) < enough:
            break
        affordable.append(side)
    candidates = affordable[-TRIED:]
    if len(candidates) == 1:
        return candidates[0], []
    each = (ends - time.monotonic()) / len(candidates)
    if each < 1:
        return candidates[-1], []
    figures = {}
    for place, side in enumerate(candidates):
        progress(0.5 + 0.5 * place / len(candidates), f"size: {side} pixels")
        figures[side] = _trained(trial, side, chosen, each)
    best = max(figures.values())
    error = math.sqrt(best * (1 - best) / max(len(trial.held_out), 1))
    side = max(side for side, figure in figures.items() if figure >= best - error)
    return side, [Trial(f"{side} pixels", figure) for side, figure in figures.items()]


def _settings(trial: _Trial, side: int, chosen: Inputs) -> Mapping[str, Any]:
    augmentation = Inputs(side, chosen.framing, chosen.flip, chosen.flip_vertically).augmentation
    return {
        **recipe.designed(side),
        "resolution_schedule": None,
        **augmentation,
        "balance": balance_of(trial.uneven),
        "precision": "float32",
        "device": trial.device,
        "generator": torch.Generator().manual_seed(trial.seed),
    }


def balance_of(uneven: bool) -> float:
    """How far classes are shown equally often: by the square root of their size, if at all."""
    return 0.5 if uneven else 0.0


def _network(trial: _Trial, data: Dataset) -> torch.nn.Module:
    return hand_design(WIDTH, classes=trial.classes, image_shape=data.image_shape, seed=trial.seed)


def _seconds_per_sample(trial: _Trial, side: int, chosen: Inputs) -> float:
    """Of a training step on a few images, the fastest of three."""
    data, clock = trial.data(side, chosen.framing), [time.perf_counter()]
    train(
        _network(trial, data),
        data,
        **{**_settings(trial, side, chosen), "batch_size": PROBE_BATCH},
        steps=4,
        measurements=0,
        progress=lambda fraction, measured: clock.append(time.perf_counter()),
    )
    gaps = [after - before for before, after in pairwise(clock[1:])]
    return min(gaps) / min(PROBE_BATCH, len(data.train))


def _trained(trial: _Trial, side: int, chosen: Inputs, seconds: float) -> float:
    data = trial.data(side, chosen.framing)
    done = train(
        _network(trial, data),
        data,
        **{**_settings(trial, side, chosen), "batch_size": TRIAL_BATCH},
        seconds=seconds,
        measurements=0,
    )
    logits = evaluate(done.model, data.validation, data.normalise, device=trial.device).logits
    return trial.figure(logits.argmax(1))
