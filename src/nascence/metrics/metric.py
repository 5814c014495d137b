"""What a metric is, and the two that only count."""

from collections.abc import Callable

from torch import Tensor, nn

from nascence.graph import count_macs, count_parameters

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W) and their labels (B,)."""

Metric = Callable[[nn.Module, Batch], float]
"""Score of a network, higher is better. The network is left exactly as it was found."""


def parameters(model: nn.Module, batch: Batch) -> float:
    """Number of learnable values: the simplest baseline of a score. ``batch`` is not used."""
    return float(count_parameters(model))


def macs(model: nn.Module, batch: Batch) -> float:
    """Multiply-adds of one image of ``batch``: a baseline that is hard to beat."""
    return float(count_macs(model, batch[0][:1]))
