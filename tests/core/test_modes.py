"""Modes come back, module by module, whatever happens between."""

import pytest
import torch
from torch import nn

from nascence.core.modes import evaluation_mode, modes_restored


def mixed() -> nn.Sequential:
    """Modules in different modes, as in a network that is partly frozen."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))).train()
    model[1][1].eval()
    return model


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def test_every_mode_comes_back_after_an_error() -> None:
    model = mixed()
    before = modes(model)
    assert len(set(before)) == 2
    with pytest.raises(RuntimeError, match="inside"), modes_restored(model):  # noqa: PT012
        model.train()
        raise RuntimeError("inside")
    assert modes(model) == before


def test_evaluation_mode_reaches_all_modules_and_stops_gradients() -> None:
    model = mixed()
    before = modes(model)
    with evaluation_mode(model) as held:
        assert held is model
        assert not any(modes(model))
        assert not model(torch.ones(3, 2)).requires_grad
    assert modes(model) == before
    assert torch.is_grad_enabled()
