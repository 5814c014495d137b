"""The released hypernetwork is read, fits its card, and predicts better than chance on data."""

import torch
from torch import nn

from nascence.graph import trace
from nascence.hypernet import load, predict, read_card


def test_released_weights_by_name() -> None:
    ghn = load("ghn2-cifar10")
    assert sum(value.numel() for value in ghn.parameters()) == 1_620_764
    card = read_card("ghn2-cifar10")
    assert card["accuracy"]["predicted"] > card["accuracy"]["random"]
    assert card["steps_done"] == card["settings"]["steps"]
    # trained states tell architectures apart; signals neither vanish nor explode
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    images = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    model.load_state_dict(predict(model, images))
    logits = model.eval()(images).detach()
    assert 0.01 < float(logits.std()) < 100
    assert trace(model, images[:1]).parameter_count == sum(p.numel() for p in model.parameters())
