"""A probe of implicit regularisation: in a flat valley, an optimizer shows what it prefers.

``½ (x - y)²`` is least everywhere on the line x = y. Adam goes straight to the nearest point of it
and stops; the learned optimizer of Metz et al. (2020, arXiv:2009.11243, section 5.3) drifts along
it to the origin: trained for what generalises, it makes weights small of itself.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from nascence.optim.contract import LearnedOptimizer, init_stacked, kernel_of
from nascence.params import Params

START_RADIUS = 2.0


class Probe(NamedTuple):
    """Trajectories ``(starts, steps + 1, 2)``, from the first point to the last."""

    trajectories: Tensor

    @property
    def distance(self) -> Tensor:
        """Distance from the valley at the end, ``(starts,)``."""
        last = self.trajectories[:, -1]
        return (last[:, 0] - last[:, 1]).abs() / math.sqrt(2)

    @property
    def along(self) -> Tensor:
        """Place along the valley at the end, over that of the nearest point at first ``(starts,)``.

        1 is that point, where Adam ends; 0 the origin. Starts whose nearest point is the origin
        have none, and are not a number.
        """
        first, last = self.trajectories[:, 0].sum(1), self.trajectories[:, -1].sum(1)
        return torch.where(first.abs() > 1e-6, last / first, torch.nan)


def valley(params: Params) -> Tensor:
    """``½ (x - y)²``, ``()``, of ``x`` and ``y`` ``()``."""
    return 0.5 * (params["x"] - params["y"]) ** 2


def starts(count: int = 10) -> Tensor:
    """``(count, 2)`` points on a circle; with 10, none in the valley or across from the origin."""
    angles = 2 * math.pi * (torch.arange(count) + 0.5) / count
    return START_RADIUS * torch.stack([angles.cos(), angles.sin()], 1)


@torch.no_grad()
def probe(optimizer: LearnedOptimizer, *, steps: int = 2000, points: Tensor | None = None) -> Probe:
    """Descend into the valley from each of ``points`` ``(starts, 2)``, by default `starts`.

    The optimizer is told the number of steps. Raises ValueError unless ``steps`` is positive.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; it must be at least 1")
    points = starts() if points is None else points.float()
    count = len(points)
    params = {"x": points[:, 0].clone(), "y": points[:, 1].clone()}
    kernel = kernel_of(optimizer)
    theta = {
        name: value.detach().expand(count, *value.shape)
        for name, value in optimizer.named_parameters()
    }
    state = init_stacked(optimizer, params, num_steps=torch.full((count,), float(steps)))
    gradients = vmap(grad_and_value(valley))
    visited = [points]
    for _ in range(steps):
        grads, loss = gradients(params)
        kernel.step_stacked_(theta, grads, state, params, loss=loss)
        visited.append(torch.stack([params["x"], params["y"]], 1))
    return Probe(torch.stack(visited, 1))
