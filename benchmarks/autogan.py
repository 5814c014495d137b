"""AutoGAN on CIFAR-10 at 16 pixels: one-shot, few-shot at equal total cost, random generators.

    python benchmarks/autogan.py run --data cifar10-train.parquet --out autogan
    python benchmarks/autogan.py report --out autogan

A classifier is trained once; the classifier score and the Fréchet distance on its features are
the figures, and neither is the Inception score or the FID. Few-shot splits the normalisation of
the last stage into its three choices. What each search finds, and ten random generators, are
trained alone with the same settings. One line of JSON a finished part is kept in ``--out``, with
what it takes to go on after an interruption; a finished part is not done again.
"""

import argparse
import statistics

import torch

from nascence.data import Dataset
from nascence.search.gan.classifier import ClassifierQuality, train_classifier
from nascence.search.gan.generator_training import generate, train_generator
from nascence.search.gan.images import latents, signed
from nascence.spaces import Architecture
from nascence.spaces.gan import GeneratorSpace

SPACE = GeneratorSpace(stages=2, width=32, latent=64)
CLASSIFIER_STEPS = 2500
ALONE = {"steps": 1200, "batch_size": 32, "generated": 32, "critic_steps": 1,
         "rates": (5e-4, 5e-4), "average_decay": 0.99, "discriminator_width": 32}  # fmt: skip
RANDOM = 10
IMAGES = 5000  # from which a generator's figures are taken, as many as there are real ones


def quality_of(arguments: argparse.Namespace, data: Dataset) -> tuple[ClassifierQuality, float]:
    """The scores, measured from the validation images, and the classifier's accuracy."""
    trained = train_classifier(
        data,
        generator=torch.Generator().manual_seed(0),
        steps=CLASSIFIER_STEPS,
        checkpoint=arguments.out / "classifier.pt",
    )
    judge = trained.classifier
    quality = ClassifierQuality(judge.probabilities, judge.features, data.validation.images)
    return quality, trained.accuracy


def figures(quality: ClassifierQuality, images: torch.Tensor) -> dict[str, float]:
    return {"score": quality.score(images), "distance": quality.distance(images)}


def alone(
    architecture: Architecture, seed: int, quality: ClassifierQuality, data: Dataset
) -> dict[str, float]:
    """Train a generator alone and measure it."""
    trained = train_generator(
        SPACE, architecture, data, generator=torch.Generator().manual_seed(seed), **ALONE
    )
    vectors = latents(SPACE, IMAGES, generator=torch.Generator().manual_seed(7))
    found = figures(quality, generate(trained.generator, vectors))
    last = trained.losses[-100:]
    return found | {
        "discriminator_loss": statistics.mean(each.discriminator for each in last),
        "generator_loss": statistics.mean(each.generator or 0.0 for each in last),
    }


def reference(quality: ClassifierQuality, data: Dataset) -> dict[str, float]:
    """What real images reach: the validation images, and as many training images."""
    real = figures(quality, signed(data.validation.images))
    training = figures(quality, signed(data.train.images[:IMAGES]))
    return {
        "score": real["score"],
        "distance": training["distance"],
        "training_score": training["score"],
    }
