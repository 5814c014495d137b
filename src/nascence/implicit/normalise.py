"""Weights normalised so that a cell stays well behaved, computed once for each forward pass."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.graph import is_tracing

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


class _WeightNorm(nn.Module):
    """One learnable length for each output channel; the weight only gives directions."""

    def __init__(self, weight: Tensor, limit: float | None) -> None:
        super().__init__()
        self.limit = limit
        self.length = nn.Parameter(torch.linalg.vector_norm(weight.detach().flatten(1), dim=1))

    def forward(self, weight: Tensor) -> Tensor:
        length: Tensor = self.length
        if self.limit is not None:
            length = length.clamp(-self.limit, self.limit)
        norm = torch.linalg.vector_norm(weight.flatten(1), dim=1)
        shape = (-1,) + (1,) * (weight.ndim - 1)
        return weight * (length / norm.clamp_min(1e-12)).reshape(shape)


class _SpectralNorm(nn.Module):
    """The weight as a matrix, over its largest singular value, times ``norm``."""

    left: Tensor

    def __init__(self, weight: Tensor, norm: float) -> None:
        super().__init__()
        self.norm = norm
        left, _, _ = torch.linalg.svd(weight.detach().flatten(1), full_matrices=False)
        self.register_buffer("left", left[:, 0].contiguous())

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)
        with torch.no_grad():
            right = F.normalize(matrix.T @ self.left, dim=0)
            left = F.normalize(matrix @ right, dim=0)
            if self.training:
                self.left.copy_(left)
        return weight * (self.norm / (left @ matrix @ right))


class NormalisedLayer(nn.Module):
    """A linear or convolution layer whose weight is normalised before it is used."""

    def __init__(self, layer: Layer, normalise: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.normalise = normalise
        self._once: Tensor | None = None

    @property
    def weight(self) -> Tensor:
        """The weight that the layer computes with, of the shape of the layer's own."""
        return self.normalise(self.layer.weight) if self._once is None else self._once

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to ``x``, of the shape that it takes, with its normalised weight."""
        if isinstance(self.layer, nn.Linear):
            return F.linear(x, self.weight, self.layer.bias)
        return self.layer._conv_forward(x, self.weight, self.layer.bias)


def weight_normalise(module: nn.Module, *, limit: float | None = None) -> nn.Module:
    """Give every linear and convolution layer of ``module`` a learnable length per channel.

    Salimans & Kingma 2016, eq. 2; ``limit`` bounds the lengths. Layers inside are replaced by
    :class:`NormalisedLayer` of the same values (up to ``limit``); returns the module, or the
    new layer where it is one itself.
    """
    return _replaced(module, lambda layer: _WeightNorm(layer.weight, limit))


def spectral_normalise(module: nn.Module, *, norm: float = 1.0) -> nn.Module:
    """Give the weight of every linear and convolution layer the spectral norm ``norm``.

    Miyato et al. 2018: a convolution's weight is the matrix of output channels by the rest. A
    step of power iteration is made each time it is computed, and kept in training mode. Layers
    inside are replaced as by :func:`weight_normalise`. Raises ValueError for a norm not above 0.
    """
    if not norm > 0:
        raise ValueError(f"norm is {norm}; it must be above 0")
    return _replaced(module, lambda layer: _SpectralNorm(layer.weight, norm))


def _replaced(module: nn.Module, normalise: Callable[[Layer], nn.Module]) -> nn.Module:
    if isinstance(module, NormalisedLayer):
        return module
    if isinstance(module, _LAYERS):
        return NormalisedLayer(module, normalise(module))
    for name, child in module.named_children():
        setattr(module, name, _replaced(child, normalise))
    return module


@contextmanager
def weights_once(module: nn.Module) -> Iterator[None]:
    """Compute the normalised weights of ``module`` once, at the start, with their gradients.

    While tracing or compiling they are computed every time instead, so that the graph contains
    them.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, NormalisedLayer)]
    if not layers or torch.compiler.is_compiling() or is_tracing():
        yield
        return
    try:
        for layer in layers:
            layer._once = layer.weight
        yield
    finally:
        for layer in layers:
            layer._once = None
