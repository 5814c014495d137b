"""Trains a detector on scenes, and measures its average precision on others."""

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nascence.core.modes import evaluation_mode
from nascence.core.resumable import Budget, Checkpoint
from nascence.detect.average_precision import AREAS, AveragePrecision, average_precision
from nascence.detect.boxes import Detections, Objects
from nascence.detect.detector import Detector
from nascence.detect.scenes import Scenes
from nascence.training import DivergenceError, OptimizerFactory, cosine, parameter_groups

Normalise = Callable[[Tensor], Tensor]


class DetectorTraining(NamedTuple):
    """A trained copy of the detector.

    Attributes:
        detector: In evaluation mode.
        losses: Mean of the sum of the losses over each 1 % of the steps.
        steps: Number of steps taken.
        seconds: CPU seconds that they took, over all resumed parts.
    """

    detector: Detector
    losses: tuple[float, ...]
    steps: int
    seconds: float


def train_detector(
    detector: Detector,
    scenes: Scenes,
    *,
    normalise: Normalise,
    optimizer: OptimizerFactory,
    steps: int,
    batch_size: int = 16,
    first: int = 0,
    schedule: Callable[[float], float] = cosine,
    clip: float | None = 10.0,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 20.0,
    progress: Callable[[int, float], None] | None = None,
) -> DetectorTraining:
    """Train a copy of ``detector``; step k sees scenes from ``first + k * batch_size`` on.

    No scene is seen twice and there is no other randomness, so a training resumed from
    ``checkpoint`` is bit-equal to an undisturbed one on a CPU.

    Args:
        detector: What to train.
        scenes: Where images and objects come from.
        normalise: Makes floats of uint8 images ``(B, C, H, W)``.
        optimizer: Makes the optimizer.
        steps: Steps in all.
        batch_size: Scenes in a step.
        first: Number of the first scene.
        schedule: Factor of the learning rate for the fraction done.
        clip: Largest norm of the gradient.
        checkpoint: File that is written every ``checkpoint_seconds`` and at the end, whole or not
            at all.
        checkpoint_seconds: Time between two checkpoints.
        progress: Called after every step with its number and its loss; a KeyboardInterrupt
            raised in it ends the training after a checkpoint.

    Raises:
        DivergenceError: The loss is not finite.
        ValueError: Impossible settings.
        CheckpointError: The checkpoint is of another training, or cannot be written.
    """
    if steps < 1 or batch_size < 1 or first < 0:
        raise ValueError(f"steps={steps}, batch_size={batch_size}, first={first}; too small")
    run = _Run(detector, optimizer)
    identity = {
        **{"steps": steps, "batch": batch_size, "first": first, "scenes": scenes.seed},
        "shapes": sorted((name, tuple(p.shape)) for name, p in detector.named_parameters()),
    }
    kept = Checkpoint(checkpoint, identity)
    kept.resume(run.take)
    budget = Budget(steps=steps, step=run.step)
    with kept.kept(run.state, seconds=checkpoint_seconds) as stepped:
        while budget.left():
            started = time.process_time()
            images, objects = scenes.batch(first + run.step * batch_size, batch_size)
            factor = schedule(budget.fraction)
            loss = run.advance(normalise(images), objects, factor=factor, clip=clip)
            run.note(loss, steps)
            run.seconds += time.process_time() - started
            budget.count()
            report = None if progress is None else partial(progress, run.step, loss)
            stepped(ended=not budget.left(), report=report)
    return DetectorTraining(run.detector.eval(), tuple(run.losses), run.step, run.seconds)


class _Run:
    """The state that a checkpoint holds and a step changes."""

    def __init__(self, detector: Detector, optimizer: OptimizerFactory) -> None:
        self.detector = copy.deepcopy(detector).train()
        self.optimizer = optimizer(parameter_groups(self.detector))
        for group in self.optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        self.step = 0
        self.seconds = 0.0
        self.losses: list[float] = []
        self.pending: list[float] = []

    def advance(
        self, images: Tensor, objects: Sequence[Objects], *, factor: float, clip: float | None
    ) -> float:
        """One step at ``factor`` times the learning rate; the loss before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        total = torch.stack(self.detector.losses(images, objects)).sum()
        loss = float(total.detach())
        if not math.isfinite(loss):
            raise DivergenceError(
                f"the loss became {loss} at step {self.step}; lower the learning rate or set clip"
            )
        total.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(self.detector.parameters(), clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return loss

    def note(self, loss: float, steps: int) -> None:
        """Add to the curve of losses."""
        self.pending.append(loss)
        if self.step * 100 // steps > (self.step - 1) * 100 // steps:
            self.losses.append(sum(self.pending) / len(self.pending))
            self.pending = []

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "detector": self.detector.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            **{"step": self.step, "seconds": self.seconds},
            **{"losses": self.losses, "pending": self.pending},
        }

    def take(self, saved: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.detector.load_state_dict(saved["detector"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.losses, self.pending = list(saved["losses"]), list(saved["pending"])


def detect_all(
    detector: Detector,
    scenes: Scenes,
    *,
    normalise: Normalise,
    count: int,
    first: int = 0,
    batch_size: int = 25,
) -> tuple[list[Detections], list[Objects]]:
    """What is found and what is there in scenes ``first`` to ``first + count - 1``."""
    found: list[Detections] = []
    truths: list[Objects] = []
    with evaluation_mode(detector):
        for start in range(0, count, batch_size):
            images, objects = scenes.batch(first + start, min(batch_size, count - start))
            found += detector.detect(normalise(images))
            truths += objects
    return found, truths


def evaluate_detector(
    detector: Detector,
    scenes: Scenes,
    *,
    normalise: Normalise,
    count: int,
    first: int = 0,
    areas: Mapping[str, tuple[float, float]] = AREAS,
    batch_size: int = 25,
) -> AveragePrecision:
    """COCO's average precision on scenes ``first`` to ``first + count - 1``."""
    found, truths = detect_all(
        detector, scenes, normalise=normalise, count=count, first=first, batch_size=batch_size
    )
    return average_precision(found, truths, classes=detector.head.classes, areas=areas)
