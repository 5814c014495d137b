"""A classifier of the project's own, by which generated images are scored."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.core.randomness import drawn_seed, seeded
from nascence.data import Dataset
from nascence.gan.images import signed
from nascence.metrics.generation import Moments, classifier_score, frechet_distance, moments
from nascence.models import cifar_resnet
from nascence.training import sgd, train

Images = Callable[[Tensor], Tensor]
"""From images (B, C, H, W) in [-1, 1] to probabilities (B, K) or features (B, D)."""
PIECE = 250
"""Images of one forward pass."""


class ImageClassifier:
    """What a trained classifier says of images in [-1, 1], whatever their side.

    Args:
        network: that takes normalised images of ``data`` and ends in a linear layer, whose inputs
            are the features.
        data: with the side and the normalisation that the network was trained with.

    Raises:
        ValueError: the network has no linear layer.
    """

    def __init__(self, network: nn.Module, data: Dataset) -> None:
        linear = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
        if not linear:
            raise ValueError("the classifier has no linear layer, whose inputs are the features")
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.body = copy.deepcopy(self.network)
        self.body.set_submodule(linear[-1], nn.Identity())
        self.side = data.image_shape[-1]
        self.mean = torch.tensor(data.mean).view(-1, 1, 1)
        self.std = torch.tensor(data.std).view(-1, 1, 1)

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the probabilities of the classes, ``(B, K)``."""
        return self._of(self.network, images).softmax(1)

    def features(self, images: Tensor) -> Tensor:
        """Return the input of the last linear layer, ``(B, D)``."""
        return self._of(self.body, images)

    @torch.no_grad()
    def _of(self, network: nn.Module, images: Tensor) -> Tensor:
        answers = []
        for piece in images.split(PIECE):
            if piece.shape[-1] != self.side:
                piece = functional.interpolate(piece, (self.side, self.side), mode="bilinear")
            answers.append(network(((piece + 1) / 2 - self.mean) / self.std))
        return torch.cat(answers)


class ClassifierQuality:
    """Scores of generated images: the classifier score, and a Fréchet distance on features.

    These are not the Inception score and the FID unless ``probabilities`` and ``features`` are
    those of the published Inception network.

    Args:
        probabilities, features: functions of images in [-1, 1].
        reference: real images, uint8 ``(N, C, H, W)``, from which distances are measured.

    Attributes:
        reference_images, reference_score: how many real images, and their own score.

    Raises:
        ValueError: there are fewer than two real images.
    """

    def __init__(self, probabilities: Images, features: Images, reference: Tensor) -> None:
        self.probabilities, self.features = probabilities, features
        if len(reference) < 2:
            raise ValueError(f"{len(reference)} real images; a distance needs 2 or more")
        real = signed(reference)
        self.reference: Moments = moments(features(real))
        self.reference_images, self.reference_score = len(real), self.score(real)
        self.description = f"classifier score, {self.reference_score:.6g} of real images"

    def score(self, images: Tensor) -> float:
        """:func:`nascence.metrics.classifier_score` of images in [-1, 1]."""
        return classifier_score(self.probabilities(images))

    def distance(self, images: Tensor) -> float:
        """:func:`nascence.metrics.frechet_distance` of images in [-1, 1] from the reference."""
        return frechet_distance(moments(self.features(images)), self.reference)


class TrainedClassifier(NamedTuple):
    """A classifier and its accuracy on the validation images, in [0, 1]."""

    classifier: ImageClassifier
    accuracy: float


def train_classifier(
    data: Dataset,
    *,
    generator: torch.Generator,
    steps: int,
    depth: int = 14,
    width: int = 16,
    batch_size: int = 128,
    checkpoint: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> TrainedClassifier:
    """Train a residual network of ``depth`` layers (He et al., CVPR 2016) on the data.

    Raises:
        CheckpointError: the checkpoint of another training.
    """
    seed = drawn_seed(generator)
    with seeded(seed):
        network = cifar_resnet(
            depth, width=width, classes=data.classes, in_channels=data.image_shape[0]
        )
    trained = train(
        network,
        data,
        optimizer=sgd(0.1),
        generator=torch.Generator().manual_seed(seed),
        steps=steps,
        batch_size=batch_size,
        crop=max(1, data.image_shape[-1] // 8),
        measurements=1,
        checkpoint=checkpoint,
        facts={"network": f"ResNet-{depth} of width {width}"},
        progress=None if progress is None else lambda done, _: progress(done),
    )
    return TrainedClassifier(ImageClassifier(trained.model, data), trained.curve[-1].accuracy)


def pieces(total: int) -> Iterator[int]:
    """The sizes of the forward passes that give ``total`` images."""
    for start in range(0, total, PIECE):
        yield min(PIECE, total - start)
