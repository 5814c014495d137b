"""Initial weights and activations with the weights of TaskSet (Metz et al. 2020)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.params import Params
from nascence.tasks.ranges import choice, log_uniform

Activation = Callable[[Tensor], Tensor]

# TaskSet draws relu with weight 6, tanh with 3 and the others with 1.
ACTIVATIONS: dict[str, Activation] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "cos": torch.cos,
    "elu": functional.elu,
    "sigmoid": torch.sigmoid,
    "swish": functional.silu,
    "leaky_relu_4": lambda x: functional.leaky_relu(x, 0.4),
    "leaky_relu_2": lambda x: functional.leaky_relu(x, 0.2),
    "leaky_relu_1": lambda x: functional.leaky_relu(x, 0.1),
}
INITIALISERS = {
    "he_normal": 2,
    "he_uniform": 2,
    "glorot_normal": 2,
    "glorot_uniform": 2,
    "orthogonal": 1,
    "uniform": 1,
    "normal": 1,
    "truncated_normal": 1,
    "variance_scaling": 1,
}
NAMES = tuple(INITIALISERS)


def sample_initialiser(*, generator: torch.Generator) -> Params:
    """Constants ``initialiser`` ``()``, a position in `NAMES`, and ``init_scale`` ``()``.

    The scale is 1 for the forms of He and Glorot and log-uniform from 0.1 to 10 for the others.
    """
    kind = choice(list(INITIALISERS.values()), generator=generator)
    scale = log_uniform(0.1, 10.0, generator=generator)
    return {
        "initialiser": torch.tensor(kind),
        "init_scale": torch.tensor(1.0 if kind < 4 else scale),
    }


def initial_weight(
    constants: Params, shape: tuple[int, ...], *, generator: torch.Generator
) -> Tensor:
    """A random weight: ``(inputs, outputs)``, or ``(outputs, inputs, k, k)`` of a convolution.

    ``constants`` are those of `sample_initialiser`; the deviations are those of He et al. (2015)
    and Glorot and Bengio (2010), and for the others ``init_scale`` is a gain (orthogonal), a bound
    (uniform), a deviation (normal and truncated normal) or a variance times the inputs.
    """
    kind, scale = NAMES[int(constants["initialiser"])], constants["init_scale"].item()
    inputs, outputs = shape if len(shape) == 2 else (math.prod(shape[1:]), shape[0])
    if kind == "orthogonal":
        weight = scale * _orthogonal(inputs, outputs, generator=generator)
        return weight if len(shape) == 2 else weight.T.reshape(shape)
    leaving = outputs * math.prod(shape[2:])
    deviation = {
        "he_normal": math.sqrt(2 / inputs),
        "he_uniform": math.sqrt(2 / inputs),
        "glorot_normal": math.sqrt(2 / (inputs + leaving)),
        "glorot_uniform": math.sqrt(2 / (inputs + leaving)),
        "uniform": scale / math.sqrt(3),
        "normal": scale,
        "truncated_normal": scale,
        "variance_scaling": math.sqrt(scale / inputs),
    }[kind]
    if kind.endswith("uniform"):
        return (2 * torch.rand(shape, generator=generator) - 1) * deviation * math.sqrt(3)
    weight = torch.empty(shape)
    if kind == "truncated_normal":
        cut = 2 * deviation
        return nn.init.trunc_normal_(weight, 0.0, deviation, -cut, cut, generator=generator)
    return weight.normal_(0.0, deviation, generator=generator)


def _orthogonal(rows: int, columns: int, *, generator: torch.Generator) -> Tensor:
    """A uniformly distributed matrix with orthonormal rows or columns, whichever are fewer."""
    normal = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    basis, triangle = torch.linalg.qr(normal)
    # The signs make the distribution uniform over all orthogonal matrices (Mezzadri 2007).
    basis = basis * torch.where(triangle.diagonal() < 0, -1.0, 1.0)
    return basis if rows >= columns else basis.T
