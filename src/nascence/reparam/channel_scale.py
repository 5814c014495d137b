"""What is left of a BatchNorm that no neighbour can absorb: a scale and a shift per channel."""

import torch
from torch import Tensor, nn


class ChannelScale(nn.Module):
    """``scale * x + shift`` in one kernel, the channel at axis ``-(rank + 1)`` of the input.

    ``scale`` and ``shift`` are given with shape ``(C,)`` and kept as ``(C, 1, ..., 1)`` with
    ``rank`` ones, so that the module needs no knowledge of its input.
    """

    def __init__(self, scale: Tensor, shift: Tensor, rank: int) -> None:
        super().__init__()
        channels = max(scale.numel(), shift.numel())
        shape = (channels, *([1] * rank))
        self.rank = rank
        self.scale = nn.Parameter(scale.detach().expand(channels).reshape(shape).clone())
        self.shift = nn.Parameter(shift.detach().expand(channels).reshape(shape).clone())

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift ``x``, shape ``(..., C, *axes)``."""
        return torch.addcmul(self.shift, x, self.scale)
