"""A search for generators as a job: everything by name, in a folder from which it resumes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch

from nascence.core import ranges
from nascence.core.files import locked, write_whole
from nascence.core.randomness import seeded
from nascence.data import load
from nascence.gan import (
    ClassifierQuality,
    GanHistory,
    GanRound,
    generate,
    latents,
    stages_of,
    train_classifier,
)
from nascence.gan.picture import sample_grid
from nascence.jobs.job import Progress, Table
from nascence.jobs.supernet_job import HISTORY, SupernetJob
from nascence.spaces import GeneratorSpace
from nascence.supernets import SuperNet

SPACE, PICTURE = "gan", "samples.png"
ROUNDS = 20
"""Rounds of each part; the published search has 65, with 30 steps of the controller in each."""
SHORT: Mapping[str, Any] = {
    "controller_steps": 10,
    "controller_rate": 3.5e-3,
    "batch_size": 32,
    "generated": 32,
    "critic_steps": 1,
    "rates": (1e-3, 1e-3),
}
"""Settings of a short search; published are rates of 2e-4, for searches a hundred times longer."""


@dataclass(frozen=True, kw_only=True)
class GanJob(SupernetJob):
    """What to search for generators, how, and where to keep it.

    The images are square, of 8, 16, 32, ... pixels. ``sizes`` can hold ``width``, the channels of
    generators and discriminators, 32 if it is not given. Beside the supernet, a classifier trains
    for the same number of steps.

    Attributes:
        images: Number of images that a score sees.
    """

    space: str = SPACE
    strategy: str = "autogan"
    images: Annotated[int, ranges.IMAGES] = 500

    def run(self, *, progress: Progress | None = None) -> "GanOutcome":
        """Start or continue the search; see `nascence.jobs.job.Job`.

        The history is in the folder when the search ends, however it ends.

        Raises:
            ValueError: Images that no generator makes, or settings that do not fit.
            GanSearchError: Values that are not finite, or a collapsed generator.
        """
        if self.space != SPACE:
            raise ValueError(
                f"{self.strategy} searches the space {SPACE}, and nothing else; give it in the "
                f"place of {self.space}"
            )
        autogan = self.method("gan strategy")
        data, width = load(self.data, size=self.size), _width(self.sizes)
        space = GeneratorSpace(
            stages=stages_of(data), width=width, latent=128, in_channels=data.image_shape[0]
        )
        supernets = self._supernets(space)
        with locked(self.out):
            trained = train_classifier(
                data,
                generator=torch.Generator().manual_seed(self.seed),
                steps=self.steps,
                checkpoint=self.out / "classifier.pt",
                progress=lambda fraction: progress and progress("classifier", fraction, ""),
            )
            judge = trained.classifier
            images = data.validation.images[:5000]
            quality = ClassifierQuality(judge.probabilities, judge.features, images)
            own = {
                "round_steps": -(-self.steps // len(supernets) // ROUNDS),
                "images": self.images,
                "discriminator_width": width,
            }
            with self.failures_kept():
                history = autogan(
                    supernets,
                    data,
                    generator=torch.Generator().manual_seed(self.seed),
                    score=quality.score,
                    steps=self.steps,
                    seconds=self.seconds,
                    workers=self.workers,
                    out=self.out,
                    progress=None if progress is None else partial(_show, progress),
                    **{**SHORT, **own, **self.settings},
                )
            self.keep(history.to_json())
            return _measured(self, space, history, quality, trained.accuracy)

    def _supernets(self, space: GeneratorSpace) -> list[SuperNet]:
        """Return untrained supernets; raise ``ValueError`` for fewer steps than their stages."""
        with seeded(self.seed):
            whole = SuperNet(space, affine="fixed")
        supernets = self.parts(whole)
        least = len(supernets) * space.stages
        if self.steps < least:
            raise ValueError(
                f"steps is {self.steps}; {len(supernets)} supernets of {space.stages} stages need "
                f"{least} or more"
            )
        return supernets


def _width(sizes: Mapping[str, Any]) -> int:
    """Return the channels of generators and discriminators."""
    if others := [name for name in sizes if name != "width"]:
        raise ValueError(f"the space {SPACE} has no {', '.join(others)} to set, but a width")
    width = sizes.get("width", 32)
    if width != int(width):
        raise ValueError(f"width is {width}; give a whole number")
    return int(width)


def _show(progress: Progress, fraction: float, ended: GanRound | None) -> None:
    message = ""
    if ended is not None and ended.reward is not None:
        message = f"stage {ended.stage}, score {ended.reward:.3f}"
    progress("search", fraction, message)


def _measured(
    job: GanJob,
    space: GeneratorSpace,
    history: GanHistory,
    quality: ClassifierQuality,
    accuracy: float,
) -> "GanOutcome":
    """Measure and draw what the best candidate makes."""
    best = history.supernets[history.best_sub_supernet].extract(history.best.architecture)
    count = quality.reference_images
    vectors = latents(space, count, generator=torch.Generator().manual_seed(job.seed))
    images = generate(best, vectors)
    write_whole(job.out / PICTURE, sample_grid(images[:64]))
    return GanOutcome(
        out=job.out,
        strategy=job.strategy,
        split=job.split,
        space=space,
        history=history,
        accuracy=accuracy,
        score=quality.score(images),
        distance=quality.distance(images),
        real_score=quality.reference_score,
    )


@dataclass(frozen=True, kw_only=True)
class GanOutcome:
    """What a job found.

    Attributes:
        out: Folder of history and picture.
        strategy, split: Strategy and split of the job.
        space: The space that was searched.
        history: History of the search.
        accuracy: Accuracy of the classifier on the validation images, in [0, 1].
        score, distance: Classifier score and Fréchet distance on classifier features of what the
            best candidate makes with shared weights, from as many images as there are real ones.
        real_score: Classifier score of the validation images.
    """

    out: Path
    strategy: str
    split: tuple[str, ...]
    space: GeneratorSpace
    history: GanHistory
    accuracy: float
    score: float
    distance: float
    real_score: float

    def facts(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        history, text = self.history, self.space.format
        best = history.best
        return {
            "run": str(self.out),
            "strategy": self.strategy,
            "split": list(self.split),
            "sub_supernets": len(history.supernets),
            "steps": history.steps,
            "seconds": round(history.seconds, 3),
            "resets": max(each.resets for each in history.rounds),
            "best": {
                "architecture": text(best.architecture),
                "choices": self.space.values(best.architecture),
                "sub_supernet": history.best_sub_supernet,
                "parameters": self.space.parameters(best.architecture),
                "classifier_score": self.score,
                "frechet_distance_on_classifier_features": self.distance,
            },
            "classifier": {"accuracy": self.accuracy, "score_of_real_images": self.real_score},
            "candidates": [
                {"architecture": text(each.architecture), "classifier_score": each.score}
                for each in history.candidates
            ],
            "history": str(self.out / HISTORY),
            "samples": str(self.out / PICTURE),
        }

    def summary(self) -> list[str | Table]:
        """Return the outcome in words."""
        facts = self.facts()
        best, count = facts["best"], facts["sub_supernets"]
        among = f", the best of {count} sub-supernets" if count > 1 else ""
        choices = ", ".join(f"{name} {value}" for name, value in best["choices"].items())
        return [
            f"Found after {facts['steps']} steps{among}: {best['architecture']}",
            f"{choices}; {best['parameters']:,} parameters",
            f"With shared weights: classifier score {self.score:.3f} (real images "
            f"{self.real_score:.3f}), Fréchet distance on classifier features {self.distance:.3f}",
            f"Both by a classifier trained here, {100 * self.accuracy:.1f} % right: neither is the "
            "Inception score or the FID.",
            f"Samples {facts['samples']}",
            f"History {facts['history']}",
        ]
