"""The choice of size, framing and flips, on a look at some training photos."""

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from nascence.data import Look
from nascence.data.decode import FRAMINGS, SIZES, Framing
from nascence.design.inputs import Inputs, Tried, untried
from nascence.design.trial import Trial, affordable

LARGEST = 160
"""Pixels beyond which no size is tried; ``--size`` may ask for more."""
FEWEST_SAMPLES, FEWEST_EPOCHS = 20_000, 4
TRIED = 3
SQUARE = 1.05
"""Ratio of the sides up to which an image counts as square."""


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

    The classic of :mod:`nascence.design.classic` tells framings and flips apart in seconds:
    mirrored photos are allowed unless they mislead it, and photos turned over if they teach it.
    Sizes are tried in short trainings of a small network, each as long as the others: those of
    which it would see enough images in the time that there will be. The largest within a standard
    error of the best is taken, since a larger one gains more from a longer training.

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
    trial = Trial(affordable(look, seconds), seed, device)
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


def _framing(
    trial: Trial, look: Look, seconds: float, progress: Callable[[float, str], None]
) -> tuple[Framing, list[Tried]]:
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
    return best, [Tried(framing, figure) for framing, figure in figures.items()]


def _flips(
    trial: Trial, framing: Framing, ends: float, progress: Callable[[float, str], None]
) -> tuple[bool, bool, list[Tried]]:
    """Whether photos may be mirrored and turned over: if that teaches the classic."""
    progress(0.3, "flips")
    plain = trial.classic(framing)
    if time.monotonic() > ends:
        return True, False, []
    mirrored = trial.classic(framing, -1)
    least = plain - trial.error(plain)  # most photos may be mirrored: that must be refuted
    tried = [Tried("not flipped", plain), Tried("mirrored", mirrored)]
    if time.monotonic() > ends:
        return mirrored >= least, False, tried
    turned = trial.classic(framing, -2)
    tried.append(Tried("turned over", turned))
    return mirrored >= least, turned > max(plain, mirrored), tried


def _side(
    trial: Trial,
    chosen: Inputs,
    training_seconds: float,
    ends: float,
    progress: Callable[[float, str], None],
) -> tuple[int, list[Tried]]:
    """The side with the best figure after short trainings, and what was tried."""
    sides = [side for side in SIZES if side <= min(chosen.side, LARGEST)] or [chosen.side]
    enough = max(FEWEST_SAMPLES, FEWEST_EPOCHS * trial.train_images)
    affordable: list[int] = []
    for side in sides:
        if (
            affordable
            and training_seconds / trial.seconds_per_sample(replace(chosen, side=side)) < enough
        ):
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
        figures[side] = trial.trained(replace(chosen, side=side), each)
    best = max(figures.values())
    side = max(side for side, figure in figures.items() if figure >= best - trial.error(best))
    return side, [Tried(f"{side} pixels", figure) for side, figure in figures.items()]
