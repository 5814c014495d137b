"""Training and evaluation mode of modules, restored exactly."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def modes_restored(model: nn.Module) -> Iterator[nn.Module]:
    """Restore the mode of every module of a model afterwards, whatever happens in the block."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield model
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[nn.Module]:
    """Keep a model in evaluation mode, without gradients; the mode of every module is restored."""
    with modes_restored(model), torch.no_grad():
        yield model.eval()
