"""Weights normalised so that a cell stays well behaved, computed once for each forward pass."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nascence.graph import is_tracing

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class _WeightNorm(nn.Module):
    """A weight as direction and length, one length for each output channel."""

    def __init__(self, limit: float | None) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, length: Tensor, direction: Tensor) -> Tensor:
        if self.limit is not None:
            length = length.clamp(-self.limit, self.limit)
        rows = direction.flatten(1)
        norm = torch.linalg.vector_norm(rows, dim=1)
        shape = (-1,) + (1,) * (direction.ndim - 1)
        return direction * (length / norm.clamp_min(1e-12)).reshape(shape)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return torch.linalg.vector_norm(weight.flatten(1), dim=1), weight


class _Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, weight: Tensor) -> Tensor:
        return self.factor * weight

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight / self.factor


def weight_normalise(module: nn.Module, *, limit: float | None = None) -> nn.Module:
    """Give every linear and convolution layer in ``module`` a learnable length per channel.

    Salimans & Kingma 2016, eq. 2; ``limit`` bounds the lengths. Changes ``module`` in place as
    ``torch.nn.utils.parametrize`` does, keeps its values (up to ``limit``), and returns it.
    """
    for layer in module.modules():
        if isinstance(layer, _WEIGHTED) and not parametrize.is_parametrized(layer):
            parametrize.register_parametrization(layer, "weight", _WeightNorm(limit))
    return module


def spectral_normalise(module: nn.Module, *, norm: float = 1.0) -> nn.Module:
    """Give the weight matrix of every linear and convolution layer the spectral norm ``norm``.

    Miyato et al. 2018: a convolution's weight is taken as a matrix of output channels by the
    rest, and a step of power iteration is made each time it is computed in training mode.
    Changes ``module`` in place and returns it.
    """
    if not norm > 0:
        raise ValueError(f"norm is {norm}; it must be above 0")
    for layer in module.modules():
        if isinstance(layer, _WEIGHTED) and not parametrize.is_parametrized(layer):
            nn.utils.parametrizations.spectral_norm(layer)
            if norm != 1:
                parametrize.register_parametrization(layer, "weight", _Scale(norm), unsafe=True)
    return module


@contextmanager
def weights_once(module: nn.Module) -> Iterator[None]:
    """Compute the parametrised weights of ``module`` once, at the start, with their gradients.

    Inside a trace or a compiler they are computed each time instead, which those see through.
    """
    names = [
        (layer, name)
        for layer in module.modules()
        if parametrize.is_parametrized(layer)
        for name in layer.parametrizations  # type: ignore[union-attr]
    ]
    if not names or torch.compiler.is_compiling() or is_tracing():
        yield
        return
    with parametrize.cached():
        for layer, name in names:
            getattr(layer, name)
        yield
