"""The settings of a training: optimizers, their parameter groups, a schedule, an objective."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

OptimizerFactory = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
"""Makes an optimizer of groups of parameters, as those of `parameter_groups`."""
Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""The loss ``()`` of a model on normalised images ``(B, C, H, W)`` and labels ``(B,)``."""


def sgd(learning_rate: float = 0.1, *, weight_decay: float = 5e-4) -> OptimizerFactory:
    """SGD with Nesterov momentum 0.9."""
    return partial(
        torch.optim.SGD, lr=learning_rate, momentum=0.9, nesterov=True, weight_decay=weight_decay
    )


def adamw(learning_rate: float = 1e-3, *, weight_decay: float = 0.05) -> OptimizerFactory:
    """AdamW (Loshchilov & Hutter 2019)."""
    return partial(torch.optim.AdamW, lr=learning_rate, weight_decay=weight_decay)


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Two groups: kernels and matrices, which decay, and vectors and scalars, which do not."""
    learnable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in learnable if p.ndim > 1]},
        {"params": [p for p in learnable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def cosine(fraction: float, *, warmup: float = 0.05) -> float:
    """Learning-rate factor in [0, 1]: linear warm-up, then half a cosine.

    ``fraction`` is the part of the training that is done, in [0, 1]. Loshchilov & Hutter
    2017, eq. 5 with one cycle.
    """
    if fraction < warmup:
        return fraction / warmup
    done = (fraction - warmup) / (1 - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def cross_entropy(
    model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy ``()`` of images ``(B, C, H, W)`` and labels ``(B,)``."""
    outputs = model(images).float()
    return functional.cross_entropy(outputs, labels, label_smoothing=label_smoothing)
