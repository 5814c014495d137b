"""Multi-layer perceptrons on architectures, trained side by side."""

from itertools import pairwise

import torch
from torch import Tensor


class MLPEnsemble:
    """Fits values at points by the mean of perceptrons with three layers.

    Cai et al. (Once-for-All), ICLR 2020: three layers on one-hot codes; Adam at
    1e-3 with weight decay 1e-4 and a squared error are the released recipe's. The number of
    members, of hidden units and of steps, and the cosine to zero are ours.

    Args:
        points: ``(n, codes)``.
        values: ``(n,)``, of about unit size.
        generator: source of weights and batches.
        members: perceptrons; each draws batches of its own.
        width: hidden units of both hidden layers.
        steps: steps of training.
        batch_size: points of a step.

    Raises:
        ValueError: ``members``, ``width`` or ``steps`` is below 1.
    """

    def __init__(
        self,
        points: Tensor,
        values: Tensor,
        *,
        generator: torch.Generator,
        members: int = 3,
        width: int = 128,
        steps: int = 600,
        batch_size: int = 64,
    ) -> None:
        for name, value in (("members", members), ("width", width), ("steps", steps)):
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        sizes = (points.shape[1], width, width, 1)
        self._layers = [
            [
                # PyTorch's own start of a linear layer, drawn from the generator
                ((2 * torch.rand(shape, generator=generator) - 1) / fan_in**0.5).requires_grad_()
                for shape in ((members, fan_in, fan_out), (members, 1, fan_out))
            ]
            for fan_in, fan_out in pairwise(sizes)
        ]
        points, values = points.float(), values.float()
        flat = [parameter for layer in self._layers for parameter in layer]
        optimizer = torch.optim.Adam(flat, lr=1e-3, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            places = torch.randint(len(points), (members, batch_size), generator=generator)
            loss = (self._forward(points[places]) - values[places]).square().mean(dim=1).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

    def __call__(self, points: Tensor) -> Tensor:
        """Predict the values at points ``(n, codes)``: ``(n,)``, float64."""
        with torch.no_grad():
            return self._forward(points.float().unsqueeze(0)).double().mean(dim=0)

    def _forward(self, points: Tensor) -> Tensor:
        """Values by each member at points (members or 1, n, codes): (members, n)."""
        *hidden, (weight, bias) = self._layers
        for inner_weight, inner_bias in hidden:
            points = (points @ inner_weight + inner_bias).relu()
        return (points @ weight + bias).squeeze(2)
