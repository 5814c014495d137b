"""Detectors decode, learn one image, and refuse what does not fit."""

import pytest
import torch
from torch import nn

from nascence.detect.boxes import Objects
from nascence.detect.detector import Detector, FeatureMaps
from nascence.detect.head import DetectionHead
from nascence.detect.losses import Predictions


class Stem(nn.Module):
    """Maps of 8 and 16 channels at strides 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 8, stride=8)
        self.second = nn.Conv2d(8, 8, 2, stride=2)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        first = self.first(images)
        return [first, self.second(first)]


def detector(classes: int = 3) -> Detector:
    torch.manual_seed(0)
    head = DetectionHead(8, classes, (8, 16), convolutions=1)
    return Detector(Stem(), nn.Identity(), head)


class Scripted(DetectionHead):
    """Says what it was told to, whatever it sees."""

    def __init__(self, predictions: Predictions) -> None:
        super().__init__(8, predictions.logits.shape[-1], (8, 16), convolutions=0)
        self.predictions = predictions

    def forward(self, levels: object) -> Predictions:
        return self.predictions


def test_detections_are_decoded() -> None:
    """Places 5 of the first level (12, 12) and 0 of the second (8, 8) say the same box."""
    logits = torch.full((1, 20, 3), -9.0)
    distances, centre = torch.ones(1, 20, 4), torch.zeros(1, 20)
    logits[0, 5, 1], logits[0, 16, 1], logits[0, 0, 2] = 2.0, 1.0, -2.0
    distances[0, 5] = torch.tensor([10.0, 8.0, 6.0, 99.0])
    distances[0, 16] = torch.tensor([6.0, 4.0, 10.0, 24.0])
    scripted = Detector(Stem(), nn.Identity(), Scripted(Predictions(logits, distances, centre)))
    (found,) = scripted.detect(torch.zeros(1, 3, 32, 32), least_score=0.1)
    assert found.boxes.tolist() == [[2.0, 4.0, 18.0, 32.0], [3.0, 3.0, 5.0, 5.0]]
    assert found.labels.tolist() == [1, 2]
    expected = (torch.tensor([2.0, -2.0]).sigmoid() * 0.5).sqrt()
    torch.testing.assert_close(found.scores, expected)
    (one,) = scripted.detect(torch.zeros(1, 3, 32, 32), least_score=0.1, most=1)
    assert one.labels.tolist() == [1]
    (none,) = scripted.detect(torch.zeros(1, 3, 32, 32), least_score=0.99)
    assert none.boxes.shape == (0, 4)


def test_learns_one_image() -> None:
    model = detector()
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    truth = Objects(torch.tensor([[4.0, 6.0, 20.0, 26.0]]), torch.tensor([1]))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = torch.stack(model.losses(images, [truth])).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    best = model.detect(images)[0]
    assert best.labels[0] == 1
    assert best.scores[0] > 0.5
    torch.testing.assert_close(best.boxes[0], truth.boxes[0], atol=2.0, rtol=0)


def test_an_image_alone_and_in_a_batch_is_the_same() -> None:
    model = detector().eval()
    images = torch.randn(3, 3, 32, 32)
    together = model(images)
    alone = model(images[1:2])
    for one, many in zip(alone, together, strict=True):
        torch.testing.assert_close(one[0], many[1])


def test_labels_and_images_must_match() -> None:
    wrong = Objects(torch.tensor([[4.0, 6.0, 20.0, 26.0]]), torch.tensor([3]))
    with pytest.raises(ValueError, match="labels run from 3 to 3; the head has the classes 0 to 2"):
        detector().losses(torch.zeros(1, 3, 32, 32), [wrong])
    with pytest.raises(ValueError, match="2 images with objects of 1"):
        detector().losses(torch.zeros(2, 3, 32, 32), [wrong])


def test_feature_maps_of_any_network() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 2, stride=2), nn.ReLU(), nn.Conv2d(4, 6, 2, stride=2))
    maps = FeatureMaps(network, ("1", "2"))
    images = torch.randn(2, 3, 8, 8)
    first, second = maps(images)
    torch.testing.assert_close(first, network[:2](images))
    torch.testing.assert_close(second, network(images))
    assert not any(module._forward_hooks for module in network)


def test_feature_maps_name_a_missing_layer() -> None:
    with pytest.raises(ValueError, match="no layer 'head'"):
        FeatureMaps(nn.Sequential(nn.ReLU()), ("head",))

    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    with pytest.raises(ValueError, match="'unused' did not run"):
        FeatureMaps(Lazy(), ("unused",))(torch.zeros(1))
