"""A search for generators as a job: everything by name, in a folder from which it resumes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from nascence.core.randomness import seeded
from nascence.data import load
from nascence.gan import (
    ClassifierQuality,
    GanHistory,
    GanSearchError,
    Round,
    autogan,
    generate,
    latents,
    stages_of,
    train_classifier,
)
from nascence.gan.picture import sample_grid
from nascence.params import write_whole
from nascence.spaces import GeneratorSpace
from nascence.supernets import SuperNet, split

HISTORY, PICTURE = "history.json", "samples.png"
ROUNDS = 20
"""Of each part; the published search has 65, with 30 steps of the controller in each."""


@dataclass(frozen=True)
class GanJob:
    """What to search, how, and where to keep it.

    Attributes:
        folder: holds the checkpoints, the history and the picture.
        split: names of decisions at which the supernet is split; none searches it whole.
        data: images to learn from, square, of 8, 16, 32, ... pixels.
        width: channels of generators and discriminators.
        steps: of the shared weights of all parts together; also those of the classifier.
        seconds: of all parts together, None for no limit.
        images: that a score sees.
        workers: processes that search the parts of a split supernet.
        seed: of all randomness.
    """

    folder: Path
    split: tuple[str, ...] = ()
    data: str = "cifar10-sample"
    width: int = 32
    steps: int = 500
    seconds: float | None = None
    images: int = 500
    workers: int = 1
    seed: int = 0


@dataclass(frozen=True)
class GanOutcome:
    """What a job found.

    Attributes:
        space: that was searched.
        history: of the search.
        accuracy: of the classifier on the validation images, in [0, 1].
        score, distance: classifier score and Fréchet distance on classifier features of what the
            best candidate makes with shared weights; from as many images as there are real ones.
        real_score: classifier score of the validation images.
    """

    space: GeneratorSpace
    history: GanHistory
    accuracy: float
    score: float
    distance: float
    real_score: float


def run_gan_job(
    job: GanJob, *, progress: Callable[[str, float, Round | None], None] | None = None
) -> GanOutcome:
    """Carry a search out, or on; its history stands in the folder when it ends, however it ends.

    Raises:
        ValueError: images that no generator makes, settings that do not fit.
        GanSearchError: values that are not finite, or a collapsed generator.
    """
    tell = progress or (lambda stage, fraction, ended: None)
    data = load(job.data)
    space = GeneratorSpace(
        stages=stages_of(data), width=job.width, latent=128, in_channels=data.image_shape[0]
    )
    with seeded(job.seed):
        whole = SuperNet(space, affine="fixed")
    supernets = split(whole, list(job.split)) if job.split else [whole]
    if job.steps < len(supernets) * space.stages:
        raise ValueError(
            f"steps is {job.steps}; {len(supernets)} supernets of {space.stages} stages need "
            f"{len(supernets) * space.stages} or more"
        )
    trained = train_classifier(
        data,
        generator=torch.Generator().manual_seed(job.seed),
        steps=job.steps,
        checkpoint=job.folder / "classifier.pt",
        progress=lambda fraction: tell("classifier", fraction, None),
    )
    judge = trained.classifier
    quality = ClassifierQuality(judge.probabilities, judge.features, data.validation.images[:5000])
    try:
        history = autogan(
            supernets,
            data,
            generator=torch.Generator().manual_seed(job.seed),
            score=quality.score,
            steps=job.steps,
            seconds=job.seconds,
            round_steps=-(-job.steps // len(supernets) // ROUNDS),
            controller_steps=10,
            controller_rate=3.5e-3,
            images=job.images,
            batch_size=32,
            generated=32,
            critic_steps=1,
            rates=RATES,
            discriminator_width=job.width,
            workers=job.workers,
            folder=job.folder,
            progress=lambda fraction, ended: tell("search", fraction, ended),
        )
    except GanSearchError as error:
        write_whole(job.folder / HISTORY, error.history.to_json().encode())
        raise
    write_whole(job.folder / HISTORY, history.to_json().encode())
    return _measured(job, space, history, quality, trained.accuracy)


RATES = (1e-3, 1e-3)
"""Of Adam; published are 2e-4, for searches that are hundreds of times longer."""


def _measured(
    job: GanJob,
    space: GeneratorSpace,
    history: GanHistory,
    quality: ClassifierQuality,
    accuracy: float,
) -> GanOutcome:
    """Measure and draw what the best candidate makes."""
    best = history.supernets[history.best_part].extract(history.best.architecture)
    count = quality.reference_images
    vectors = latents(space, count, generator=torch.Generator().manual_seed(job.seed))
    images = generate(best, vectors)
    write_whole(job.folder / PICTURE, sample_grid(images[:64]))
    return GanOutcome(
        space,
        history,
        accuracy,
        quality.score(images),
        quality.distance(images),
        quality.reference_score,
    )
