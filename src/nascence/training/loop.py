"""The one training loop: any torch optimizer, a step or a time budget, exact resume."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.core.randomness import derived_seed, drawn_seed, reseed, seeded, stream
from nascence.core.resumable import Budget, Checkpoint
from nascence.data import Dataset, augment, epoch_order
from nascence.training.precision import WORTH, Precision, faster_precision
from nascence.training.recipe import Objective, OptimizerFactory, cosine, cross_entropy
from nascence.training.run import Measurement, Run


class Training(NamedTuple):
    """What a training gave.

    Attributes:
        model: A trained copy, in evaluation mode.
        curve: Points on the way.
        steps: How many were taken, over all legs.
        seconds: Wall time that they took.
        stopped_by: Which budget ended it.
        precision: What it was trained in; "auto" is what a GPU has.
        samples: How many images the steps saw in all; 0 where that is not known.
    """

    model: nn.Module
    curve: tuple[Measurement, ...]
    steps: int
    seconds: float
    stopped_by: Literal["steps", "seconds"]
    precision: Precision = "auto"
    samples: int = 0


def train(
    model: nn.Module,
    data: Dataset,
    *,
    optimizer: OptimizerFactory,
    generator: torch.Generator,
    steps: int | None = None,
    seconds: float | None = None,
    batch_size: int = 128,
    schedule: Callable[[float], float] = cosine,
    label_smoothing: float = 0.0,
    soft_labels: Tensor | None = None,
    average_decay: float | None = None,
    crop: int = 4,
    flip: bool = True,
    cutout: int = 0,
    flip_vertically: bool = False,
    zoom: float = 0.0,
    light: float = 0.0,
    balance: float = 0.0,
    resolution_schedule: Callable[[float], int] | None = None,
    clip: float | None = None,
    objective: Objective | None = None,
    measurements: int = 20,
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 20.0,
    facts: Mapping[str, str | int | float] | None = None,
    progress: Callable[[float, Measurement | None], None] | None = None,
) -> Training:
    """Train a copy of ``model`` on ``data.train`` with cross-entropy; the model is untouched.

    The training ends after ``steps`` or after ``seconds`` (measuring included), whichever comes
    first, and the schedule follows the larger of the two fractions, so that the learning rate
    comes to its end either way. With steps alone nothing depends on the clock but the choice of
    ``precision="auto"``: give ``precision="float32"`` where two trainings on a CPU must be equal.

    Every random choice of step k is drawn from (seed, k), with one seed from ``generator``:
    a training resumed from ``checkpoint``, which holds the choice of precision, too, is bit-equal
    to an undisturbed one on a CPU. Ctrl-C ends
    a training that has a checkpoint after the step and a checkpoint, and any other at once.

    Args:
        model: What to train.
        data: Images and labels.
        optimizer: Makes the optimizer; one that has an attribute ``loss``, as
            :class:`nascence.optim.Learned` has, finds the loss of the step there.
        generator: Gives the one seed of all randomness.
        steps: Steps in all.
        seconds: Wall time in all.
        batch_size: Images in a step, at least 2.
        schedule: Factor of the learning rate for the fraction done.
        label_smoothing: Share of label smoothing, in [0, 1].
        soft_labels: Take the place of the labels: the chances of each class for every training
            image, ``(N, classes)`` in the order of ``data.train``, such as a teacher's answers.
        average_decay: Keeps an exponential moving average of weights and buffers, which is then
            what is measured and returned (Polyak & Juditsky 1992), warmed up as
            (1 + k) / (10 + k).
        crop: Pixels that images are shifted by, at most.
        flip: Whether half of the images are mirrored.
        cutout: Side in pixels of a square that is blanked; 0 for none.
        flip_vertically: Whether half of the images are turned upside down.
        zoom: How far images are enlarged at most, as a share of their side; see
            :func:`nascence.data.augment`, also for the next one.
        light: How far brightness and contrast are changed at most.
        balance: How far classes are shown equally often; see :func:`nascence.data.epoch_order`.
        resolution_schedule: Side in pixels that images are scaled to, for the fraction done.
        clip: Largest norm of the gradient.
        objective: Takes the place of cross-entropy; what it draws from PyTorch's global generator
            is drawn from (seed, k), too.
        measurements: Points of the curve; 0 for none.
        device: Where to train.
        precision: ``"auto"`` is bfloat16 autocast on a GPU that has it, and on a CPU what is
            faster in about ten steps that are measured at the start; float32 for a training of
            fewer than 200 steps. ``Training.precision`` says which.
        checkpoint: File that is written every ``checkpoint_seconds`` and at the end, whole or not
            at all; a finished training is returned from it without another step.
        checkpoint_seconds: Time between two checkpoints.
        facts: Further settings that a checkpoint must have been made with.
        progress: Called after every step with the fraction done and a point of the curve or None;
            a KeyboardInterrupt raised in it ends the training after a checkpoint.

    Raises:
        DivergenceError: The loss is not finite.
        ValueError: Impossible settings.
        CheckpointError: The checkpoint is of another training, or cannot be written.
    """
    _check_settings(data, steps, seconds, batch_size, measurements)
    run = Run(model, data, optimizer, average_decay, torch.device(device), precision)
    seed = drawn_seed(generator)
    # "batch" is how files of version 0.1.0 call the batch size.
    identity = {"seed": seed, "steps": steps, "batch": batch_size, "data": data.fingerprint}
    kept = Checkpoint(checkpoint, {**identity, **(facts or {})})
    resumed = kept.resume(run.take)
    objective = objective or partial(cross_entropy, label_smoothing=label_smoothing)
    budget = Budget(steps=steps, seconds=seconds, step=run.step, elapsed=run.seconds)
    with (
        seeded(None, run.device),
        kept.kept(run.state, seconds=checkpoint_seconds) as stepped,
    ):
        if precision == "auto" and not resumed:
            run.use(_chosen(run, data, batch_size, objective, steps, seconds))
        while budget.left():
            before = budget.fraction
            places = _places_of(data, run.step, batch_size, seed, balance)
            images, labels = data.train.take(places)
            shifts = stream(seed, run.step, 1, derivation="training")
            images = augment(
                images,
                flip=flip,
                crop=crop,
                cutout=cutout,
                flip_vertically=flip_vertically,
                zoom=zoom,
                light=light,
                generator=shifts,
            )
            reseed(derived_seed(seed, run.step, 2, derivation="training"), run.device)
            run.advance(
                scaled(
                    data.normalise(images.to(run.device)),
                    resolution_schedule and resolution_schedule(before),
                ),
                (labels if soft_labels is None else soft_labels[places]).to(run.device),
                factor=schedule(before),
                objective=objective,
                clip=clip,
            )
            budget.count()
            run.seconds = budget.elapsed
            measured = None
            if measurements and budget.passed(measurements):
                measured = run.measure(data)
                budget.read_clock()
                run.seconds = budget.elapsed
            report = None if progress is None else partial(progress, budget.fraction, measured)
            stepped(ended=not budget.left(), report=report)
    return Training(
        run.result(),
        tuple(run.curve),
        run.step,
        run.seconds,
        budget.stopped_by,
        run.precision,
        run.step * min(batch_size, len(data.train)),
    )


def _chosen(
    run: Run,
    data: Dataset,
    batch_size: int,
    objective: Objective,
    steps: int | None,
    seconds: float | None,
) -> Precision:
    """What ``precision="auto"`` is: measured where it pays, in a twentieth of the time at most."""
    if run.device.type == "cpu" and steps is not None and steps < WORTH:
        return "float32"
    return faster_precision(
        run.model,
        data,
        device=run.device,
        batch_size=batch_size,
        objective=objective,
        seconds=None if seconds is None else seconds / 20,
    )


def _check_settings(
    data: Dataset, steps: int | None, seconds: float | None, batch_size: int, measurements: int
) -> None:
    Budget(steps=steps, seconds=seconds)
    if batch_size < 2 or measurements < 0:
        raise ValueError(
            f"batch_size={batch_size}, measurements={measurements}; at least 2 and 0 are needed"
        )
    if len(data.train) < 2:
        raise ValueError(f"{len(data.train)} training images; at least 2 are needed")


def _places_of(data: Dataset, step: int, batch_size: int, seed: int, balance: float) -> Tensor:
    """Places of the images of batch number ``step`` in the endless sequence of shuffled epochs."""
    size = min(batch_size, len(data.train))
    per_epoch = len(data.train) // size
    epoch, position = divmod(step, per_epoch)
    shuffling = stream(seed, epoch, 0, derivation="training")
    order = epoch_order(data.train.labels, balance=balance, generator=shuffling)
    return order[position * size : (position + 1) * size]


def scaled(images: Tensor, side: int | None) -> Tensor:
    """Images ``(N, C, H, W)`` whose longer side has ``side`` pixels, the aspect ratio kept.

    ``None`` leaves them as they are.
    """
    height, width = images.shape[-2:]
    if side is None or side == max(height, width):
        return images
    factor = side / max(height, width)
    target = (max(round(height * factor), 1), max(round(width * factor), 1))
    return functional.interpolate(images, target, mode="bilinear", antialias=True)
