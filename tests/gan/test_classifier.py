"""Scores by a classifier: what it sees, and what is made of it."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from nascence.data import Dataset
from nascence.gan import ClassifierQuality, ImageClassifier, train_classifier
from nascence.gan.images import signed
from nascence.metrics import classifier_score, frechet_distance, moments
from nascence.models import cifar_resnet


def classifier(data: Dataset) -> ImageClassifier:
    torch.manual_seed(0)
    return ImageClassifier(cifar_resnet(8, width=4, classes=2), data)


def test_it_sees_what_its_network_was_trained_with(shades: Dataset) -> None:
    made = classifier(shades)
    images = shades.train.images[:6]
    logits = made.network(shades.normalise(images))
    torch.testing.assert_close(made.probabilities(signed(images)), logits.softmax(1))
    small = signed(images)[:, :, ::2, ::2]
    enlarged = interpolate(small, (16, 16), mode="bilinear")
    torch.testing.assert_close(made.probabilities(small), made.probabilities(enlarged))


def test_features_are_what_the_last_layer_takes(shades: Dataset) -> None:
    made = classifier(shades)
    images = signed(shades.train.images)
    features = made.features(images)
    assert features.shape == (40, 16)
    head = made.network.get_submodule("head")
    torch.testing.assert_close(head(features).softmax(1), made.probabilities(images))
    with pytest.raises(ValueError, match="no linear layer"):
        ImageClassifier(nn.Flatten(), shades)


def test_quality_is_by_any_callables(shades: Dataset) -> None:
    def halves(images: torch.Tensor) -> torch.Tensor:
        bright = (images.mean((1, 2, 3)) > 0).float()
        return torch.stack([bright, 1 - bright], 1)

    quality = ClassifierQuality(halves, lambda x: x.mean((2, 3)), shades.validation.images)
    real = signed(shades.validation.images)
    assert quality.score(real) == pytest.approx(2) == pytest.approx(quality.reference_score)
    assert quality.reference_images == 40
    assert quality.distance(real) == pytest.approx(0, abs=1e-9)
    assert quality.distance(real + 0.5) == pytest.approx(3 * 0.25)
    assert quality.score(real.clamp_min(0.1)) == pytest.approx(1)
    with pytest.raises(ValueError, match="1 real images"):
        ClassifierQuality(halves, halves, shades.validation.images[:1])


def test_quality_by_a_classifier(shades: Dataset, generator: torch.Generator) -> None:
    made = classifier(shades)
    quality = ClassifierQuality(made.probabilities, made.features, shades.validation.images)
    images = torch.rand(30, 3, 16, 16, generator=generator) * 2 - 1
    assert quality.score(images) == classifier_score(made.probabilities(images))
    real = moments(made.features(signed(shades.validation.images)))
    assert quality.distance(images) == frechet_distance(moments(made.features(images)), real)
    with pytest.raises(ValueError, match="not finite"):
        quality.score(images * torch.nan)
    with pytest.raises(ValueError, match="not finite"):
        quality.distance(images * torch.nan)


def test_a_classifier_is_trained(shades: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "classifier.pt"
    settings = {"steps": 25, "depth": 8, "width": 4, "batch_size": 20, "checkpoint": path}
    first, again = (
        train_classifier(shades, generator=torch.Generator().manual_seed(0), **settings)
        for _ in range(2)
    )
    assert first.accuracy == again.accuracy == 1.0
    images = signed(shades.validation.images)
    answers = first.classifier.probabilities(images)
    assert torch.equal(answers.argmax(1), shades.validation.labels)
    assert torch.equal(answers, again.classifier.probabilities(images))
