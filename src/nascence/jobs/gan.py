"""A search for generators as a job: everything by name, in a folder from which it resumes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch

from nascence import registry
from nascence.core import ranges
from nascence.core.files import locked, write_whole
from nascence.core.randomness import seeded
from nascence.data import load
from nascence.gan import (
    ClassifierQuality,
    GanHistory,
    GanRound,
    GanSearchError,
    generate,
    latents,
    stages_of,
    train_classifier,
)
from nascence.gan.picture import sample_grid
from nascence.jobs.job import Progress, Table, check_folder
from nascence.jobs.names import check_settings
from nascence.spaces import GeneratorSpace
from nascence.supernets import SuperNet, split

SPACE, HISTORY, PICTURE = "gan", "history.json", "samples.png"
ROUNDS = 20
"""Rounds of each part; the published search has 65, with 30 steps of the controller in each."""
RATES = (1e-3, 1e-3)
"""Learning rates of Adam; published are 2e-4, for searches that are hundreds of times longer."""


@dataclass(frozen=True, kw_only=True)
class GanJob:
    """What to search for generators, how, and where to keep it.

    Attributes:
        out: Folder of the checkpoints, the history and the picture.
        space: ``"gan"``.
        strategy: Name of a GAN strategy.
        split: Names of decisions at which the supernet is split; none searches it whole.
        data: Images to learn from, square, of 8, 16, 32, ... pixels.
        sizes: ``{"width": CHANNELS}``, of generators and discriminators; 32 if not given.
        settings: Settings of the strategy, such as ``{"critic_steps": 5}``.
        steps: Steps of the shared weights of all parts together; also those of the classifier.
        seconds: Time for all parts together; None for no limit.
        images: Number of images that a score sees.
        workers: Processes that search the parts of a split supernet.
        seed: Seed of all random choices.
    """

    out: Path
    space: str = SPACE
    strategy: str = "autogan"
    split: tuple[str, ...] = ()
    data: str = "cifar10-sample"
    sizes: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: Annotated[int, ranges.STEPS] = 500
    seconds: Annotated[float | None, ranges.SECONDS] = None
    images: Annotated[int, ranges.IMAGES] = 500
    workers: Annotated[int, ranges.PROCESSES] = 1
    seed: Annotated[int, ranges.SEED] = 0

    def run(self, *, progress: Progress | None = None) -> "GanOutcome":
        """Start or continue the search; see `nascence.jobs.job.Job`.

        The history is in the folder when the search ends, however it ends.

        Raises:
            ValueError: Images that no generator makes, or settings that do not fit.
            GanSearchError: Values that are not finite, or a collapsed generator.
        """
        check_folder(self.out)
        ranges.check_ranges(self)
        if self.space != SPACE:
            raise ValueError(
                f"{self.strategy} searches the space {SPACE}, and nothing else; give it in the "
                f"place of {self.space}"
            )
        autogan = registry.find(self.strategy, "gan strategy").load()
        check_settings(self.strategy, autogan, self.settings)
        data, width = load(self.data), _width(self.sizes)
        space = GeneratorSpace(
            stages=stages_of(data), width=width, latent=128, in_channels=data.image_shape[0]
        )
        with seeded(self.seed):
            whole = SuperNet(space, affine="fixed")
        supernets = split(whole, list(self.split)) if self.split else [whole]
        least = len(supernets) * space.stages
        if self.steps < least:
            raise ValueError(
                f"steps is {self.steps}; {len(supernets)} supernets of {space.stages} stages need "
                f"{least} or more"
            )
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
            published: dict[str, Any] = {
                "round_steps": -(-self.steps // len(supernets) // ROUNDS),
                "controller_steps": 10,
                "controller_rate": 3.5e-3,
                "images": self.images,
                "batch_size": 32,
                "generated": 32,
                "critic_steps": 1,
                "rates": RATES,
                "discriminator_width": width,
            }
            try:
                history = autogan(
                    supernets,
                    data,
                    generator=torch.Generator().manual_seed(self.seed),
                    score=quality.score,
                    steps=self.steps,
                    seconds=self.seconds,
                    workers=self.workers,
                    out=self.out,
                    progress=None if progress is None else _Shown(progress),
                    **{**published, **self.settings},
                )
            except GanSearchError as error:
                write_whole(self.out / HISTORY, error.history.to_json().encode())
                raise
            write_whole(self.out / HISTORY, history.to_json().encode())
            return _measured(self, space, history, quality, trained.accuracy)


def _width(sizes: Mapping[str, Any]) -> int:
    """Return the channels of generators and discriminators."""
    if others := [name for name in sizes if name != "width"]:
        raise ValueError(f"the space {SPACE} has no {', '.join(others)} to set, but a width")
    width = sizes.get("width", 32)
    if width != int(width):
        raise ValueError(f"width is {width}; give a whole number")
    return int(width)


class _Shown:
    """Shows the last round."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __call__(self, fraction: float, ended: GanRound | None) -> None:
        message = ""
        if ended is not None and ended.reward is not None:
            message = f"stage {ended.stage}, score {ended.reward:.3f}"
        self.progress("search", fraction, message)


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
