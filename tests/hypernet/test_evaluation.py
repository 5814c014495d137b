"""Accuracies of predicted values beside a network's own."""

import pytest
import torch
from torch import nn

from nascence.graph import Graph, trace
from nascence.hypernet import GHN, accuracy, network_accuracies, recalibrate, validation

IMAGES = torch.randn(60, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(60) % 3
CALIBRATION = IMAGES.split(20)


def networks(index: int) -> tuple[Graph, nn.Module]:
    torch.manual_seed(index)
    width = 4 + index
    model = nn.Sequential(
        nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width * 36, 3)
    )
    return trace(model, IMAGES[:1]), model


def test_accuracies_of_predicted_and_of_own_values() -> None:
    torch.manual_seed(0)
    ghn = GHN(width=8, max_shape=(8, 8, 3, 3))
    for source in (None, ghn):
        found = network_accuracies(
            source, networks, (0, 2), IMAGES, LABELS, calibration=CALIBRATION
        )
        for index, value in zip((0, 2), found, strict=True):
            graph, model = networks(index)
            params = dict(model.named_parameters()) if source is None else ghn([graph])[0]
            params = {name: tensor.detach() for name, tensor in params.items()}
            values = {**params, **recalibrate(model, params, CALIBRATION)}
            assert value == accuracy(model, values, IMAGES, LABELS)


def test_validation_names_the_splits() -> None:
    torch.manual_seed(0)
    ghn = GHN(width=8, max_shape=(8, 8, 3, 3)).train()
    passes = validation({"val": networks}, 3, IMAGES, LABELS, calibration=CALIBRATION)
    rows = network_accuracies(ghn, networks, range(3), IMAGES, LABELS, calibration=CALIBRATION)
    assert passes(ghn) == {"accuracy_val": pytest.approx(sum(rows) / 3)}
    assert ghn.training
