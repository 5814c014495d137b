"""What every stage of a run works with, and the one way in which a run trains a network."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from nascence.data import Dataset
from nascence.design.clock import Clock
from nascence.design.folder import RunError, RunFolder
from nascence.design.inputs import Inputs, balance_of
from nascence.design.results import TrainingPlan
from nascence.design.settings import DesignSettings, Shares
from nascence.training import Measurement, Training, train

T = TypeVar("T")


class Judged(Protocol):
    """What has both figures of a network on validation images, each in [0, 1]."""

    @property
    def accuracy(self) -> float:
        """Share of the images that are right."""

    @property
    def mean_recall(self) -> float:
        """Share of each class that was found, averaged over classes."""


Progress = Callable[[str, float, str], None]
"""Called with a stage, the share of it that is done (0 to 1), and a message."""


@dataclass(frozen=True)
class Run:
    """What every stage works with.

    Attributes:
        folder: Where the run lives, with its settings.
        optimizer: What trains the designed network: "sgd", "adamw" or "learned".
        data: The images.
        device: Where networks are trained.
        shares: Seconds of the budget for each stage.
        progress: Told how far the work is.
        clock: Wall time of the run; without one, the shares alone bound a stage.
        inputs: What networks are shown; None in runs of earlier versions.
        prefix: Takes the place of the names of trainings, for trainings within a stage.
    """

    folder: RunFolder
    optimizer: str
    data: Dataset
    device: torch.device
    shares: Shares
    progress: Progress
    clock: Clock | None = None
    inputs: Inputs | None = None
    prefix: str = ""

    @property
    def settings(self) -> DesignSettings:
        """What was chosen about the run."""
        return self.folder.settings

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self.folder.path

    @property
    def example(self) -> Tensor:
        """One black image, ``(1, C, H, W)``."""
        return torch.zeros(1, *self.data.image_shape)

    @property
    def side(self) -> int:
        """Side of the images in pixels."""
        return max(self.data.image_shape[1:])

    def figure(self, of: Judged) -> float:
        """What networks are chosen by: mean recall where classes are uneven, else accuracy."""
        uneven = self.data.uneven and not math.isnan(of.mean_recall)
        return of.mean_recall if uneven else of.accuracy

    def seconds_for(self, stage: str) -> float:
        """Seconds that a stage may take now: its share, or what later ones leave of the rest."""
        share: float = getattr(self.shares, stage)
        if self.clock is None:
            return max(share, 1.0)
        later = self.shares[self.shares._fields.index(stage) + 1 :]
        return max(min(share, self.clock.left - sum(later)), 1.0)

    def generator(self, stream: int) -> torch.Generator:
        """Return the generator for one purpose; different purposes do not affect each other."""
        return torch.Generator().manual_seed(1000 * self.settings.seed + stream)

    def needed(self, stage: str, kind: type[T]) -> T:
        """The result of an earlier stage.

        Raises:
            RunError: The stage has left none.
        """
        result = self.folder.result(stage, kind)
        if result is None:
            raise RunError(f"{self.path} has no result of the stage {stage}; delete the later ones")
        return result

    def train(
        self,
        model: nn.Module,
        plan: TrainingPlan,
        recipe: Mapping[str, Any],
        *,
        data: Dataset | None = None,
        stream: int,
        name: str,
        stage: str | None = None,
        span: tuple[float, float] = (0.0, 1.0),
    ) -> Training:
        """Train a network on the images of the run, from its checkpoint if there is one.

        Args:
            model: The network, which is left as it is.
            plan: How long, and in which precision.
            recipe: Further keywords of :func:`nascence.train`.
            data: What to train on, if not on the images of the run.
            stream: Number of the randomness that it draws from.
            name: Name of its checkpoint.
            stage: What the progress is shown as; ``name`` if not given.
            span: The part of the stage that this training is, from 0 to 1.
        """
        begin, end = span
        if self.prefix:
            name = f"{self.prefix}-{name}".rstrip("-")
        shown: dict[str, Any] = {"balance": balance_of(self.data.uneven)}
        if self.inputs is not None:
            shown |= self.inputs.augmentation

        def show(fraction: float, measured: Measurement | None) -> None:
            message = "" if measured is None else f"accuracy {measured.accuracy:.1%}"
            self.progress(stage or name, begin + fraction * (end - begin), message)
            if measured is not None:
                self.folder.event("measured", stage=stage or name, **measured._asdict())

        return train(
            model,
            self.data if data is None else data,
            **{**shown, **recipe},
            steps=plan.steps,
            seconds=plan.seconds,
            precision=plan.precision,
            generator=self.generator(stream),
            device=self.device,
            checkpoint=self.path / "checkpoints" / f"{name}.pt",
            checkpoint_seconds=self.settings.checkpoint_seconds,
            progress=show,
        )
