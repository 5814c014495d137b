"""Recalibrated statistics against means taken by hand."""

import copy

import torch
from torch import nn

from nascence.recalibration import recalibrate


def test_statistics_are_the_mean_over_batches_and_the_model_is_left() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    before = copy.deepcopy(model.state_dict())
    params = {name: torch.randn_like(value) for name, value in model.named_parameters()}
    batches = list(torch.randn(3, 8, 3, 5, 5))
    buffers = recalibrate(model, params, batches)
    maps = [nn.functional.conv2d(b, params["0.weight"], params["0.bias"]) for b in batches]
    mean = torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0)
    variance = torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0)
    assert torch.allclose(buffers["1.running_mean"], mean, atol=1e-5)
    assert torch.allclose(buffers["1.running_var"], variance, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert model[1].momentum == 0.1
