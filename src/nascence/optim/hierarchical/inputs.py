"""The inputs of the hierarchical optimizer: statistics of each tensor, of each parameter."""

import math

import torch
from torch import Tensor

from nascence.optim.hierarchical.controller import TO_PERCEPTRON
from nascence.optim.time_features import PERIODS
from nascence.params import Params

DECAYS = (0.5, 0.9, 0.99, 0.999, 0.9999)
EPSILON = 1e-6
STATISTICS = 18
OWN_INPUTS = 23
PLANES = OWN_INPUTS - 2 * len(DECAYS)
INPUTS = OWN_INPUTS + PERIODS + 3 + TO_PERCEPTRON
SCALE = 1e-3
# Squares beyond it tell no more, and infinite ones would make what is told not a number.
LARGEST_SQUARE = 1e30


def root(square: Tensor) -> Tensor:
    """Return square roots, of the same shape, whose slope at 0 is finite.

    Squares above `LARGEST_SQUARE` count as that.
    """
    return torch.sqrt(square.clamp(max=LARGEST_SQUARE) + 1e-12)


def means_of(grad: Tensor, value: Tensor, slots: Params) -> Params:
    """What `statistics_of` needs, from a tensor of any shape and its averages ``(5, ...)``."""
    found = {"norm": root(value.square().sum()), "grad": root(grad.square().sum())}
    for name, of in (("m", slots["momenta"]), ("v", slots["seconds"]), ("w", value)):
        found |= _moments(name, of.mean(), of.square().mean())
    return found


def _moments(name: str, mean: Tensor, square: Tensor) -> Params:
    """Mean and variance, 0 of nothing; what the difference loses lies far below the cut."""
    largest = LARGEST_SQUARE**0.5
    mean = torch.nan_to_num(mean, nan=0.0).clamp(-largest, largest)
    square = torch.nan_to_num(square, nan=0.0).clamp(max=LARGEST_SQUARE)
    return {f"{name} mean": mean, f"{name} var": (square - mean * mean).clamp(min=0)}


def means_of_sums(sums: Tensor, squares: Tensor, size: int) -> Params:
    """`means_of` from the sums and sums of squares ``(23,)`` of the inputs of the parameters."""
    found = {"norm": root(squares[1]), "grad": root(squares[0])}
    for name, part in (
        ("m", slice(PLANES, PLANES + len(DECAYS))),
        ("v", slice(PLANES + len(DECAYS), OWN_INPUTS)),
        ("w", slice(1, 2)),
    ):
        found |= _moments(name, sums[part].mean() / size, squares[part].mean() / size)
    return found


def statistics_of(means: Params, shape: torch.Size, losses: Tensor) -> Tensor:
    """Inputs ``(18,)`` of the LSTM of a tensor."""
    parts = []
    for name in ("m", "v", "w"):
        mean, var = means[f"{name} mean"], means[f"{name} var"]
        parts += [torch.log(mean.abs() + 1e-8), torch.sign(mean), torch.log(var + 1e-8)]
    parts += [torch.log(means["norm"]), torch.log(means["grad"])]
    clipped = torch.stack(parts).clamp(-5, 5)
    # At most four sizes; those of further axes are multiplied into the last.
    sizes = [*shape[:3], math.prod(shape[3:])] if len(shape) > 4 else list(shape)
    logs = [math.log(max(size, 1)) - 1 for size in sizes] + [-1.0] * (4 - len(sizes))
    fixed = clipped.new_tensor([1.0 if len(shape) == 0 else -1.0, *logs])
    return torch.cat([clipped, fixed, losses])


def own_inputs(grad: Tensor, value: Tensor, slots: Params) -> Tensor:
    """The 23 inputs ``(n, 23)`` of each parameter of a tensor, not yet normalised."""
    inverse = torch.rsqrt(slots["seconds"] + EPSILON)
    parts = [
        *(grad[None], value[None], torch.log(value.abs() + EPSILON)[None]),
        *(slots["momenta"] * inverse, inverse, slots["momenta"], slots["seconds"]),
    ]
    return torch.cat(parts).reshape(OWN_INPUTS, -1).t()


def shared_inputs(step: Tensor, tensors: int, means: Params, said: Tensor, grad: Tensor) -> Tensor:
    """Return the inputs ``(31,)`` that all parameters of a tensor share.

    Args:
        step: Steps taken, this one included; ``()``.
        tensors: How many tensors take it.
        means: Of `means_of`, of which the norm of the tensor is told.
        said: What the LSTM says ``(17,)``.
        grad: The gradient, of which the size is told.
    """
    periods = torch.round(10 ** (torch.arange(PERIODS, device=step.device) / 2))
    time = torch.sin(step / (math.pi * periods))
    counts = step.new_tensor([math.log(tensors) - 1, math.log(max(grad.numel(), 1))])
    return torch.cat([time, counts[:1], torch.log(means["norm"])[None], counts[1:], said])
