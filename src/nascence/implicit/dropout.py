"""Dropout under which a fixed point exists."""

from typing import Any

import torch
from torch import Tensor, nn


class SolveDropout(nn.Module):
    """Dropout with one mask for all evaluations of a solve (Gal & Ghahramani 2016).

    :class:`DEQ` calls :meth:`renew` before each solve; the mask is drawn at the first
    evaluation after it, from torch's global generator, as ``nn.Dropout`` does.

    Raises:
        ValueError: ``p`` is not in [0, 1).
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p is {p}; it must be in [0, 1)")
        self.p = p
        self._mask: Tensor | None = None

    def renew(self) -> None:
        """Forget the mask."""
        self._mask = None

    def forward(self, x: Tensor) -> Tensor:
        """Multiply ``x`` of any shape by the mask of this solve; nothing in evaluation mode."""
        if not self.training or self.p == 0:
            return x
        if self._mask is None or self._mask.shape != x.shape:
            kept = torch.empty_like(x, requires_grad=False).bernoulli_(1 - self.p)
            self._mask = kept.div_(1 - self.p)
        return x * self._mask

    def extra_repr(self) -> str:
        """Settings, for ``print``."""
        return f"p={self.p}"

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_mask": None}
