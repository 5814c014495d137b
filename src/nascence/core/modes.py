"""Training and evaluation mode of modules, restored exactly."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def modes_restored(model: nn.Module) -> Iterator[nn.Module]:
    """Give every module of a model its mode back afterwards, whatever is done to it inside."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield model
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Hold a model in evaluation mode without gradients; every module's mode is restored."""
    with modes_restored(model), torch.no_grad():
        yield model.eval()
