"""Search for generators of images: AutoGAN, its training, and scores of what generators make."""

from nascence.gan.autogan import autogan
from nascence.gan.classifier import (
    ClassifierQuality,
    ImageClassifier,
    TrainedClassifier,
    train_classifier,
)
from nascence.gan.discriminator import Discriminator
from nascence.gan.generator_training import TrainedGenerator, generate, train_generator
from nascence.gan.history import GanHistory, GanRound, GanSearchError, Growth
from nascence.gan.images import latents, stages_of

__all__ = [
    "ClassifierQuality",
    "Discriminator",
    "GanHistory",
    "GanSearchError",
    "Growth",
    "ImageClassifier",
    "GanRound",
    "TrainedClassifier",
    "TrainedGenerator",
    "autogan",
    "generate",
    "latents",
    "stages_of",
    "train_classifier",
    "train_generator",
]
