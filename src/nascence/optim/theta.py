"""Theta, the parameters of an optimizer, as one vector."""

import hashlib

import torch
from torch import Tensor, nn

from nascence.params import Params


def flatten(optimizer: nn.Module) -> Tensor:
    """All parameters concatenated, ``(D,)``, in the order of ``named_parameters()``."""
    return torch.cat([value.detach().reshape(-1) for value in optimizer.parameters()])


def unflatten(optimizer: nn.Module, flat: Tensor) -> Params:
    """Parameters by name from ``(..., D)``; each has the leading axes of ``flat``."""
    params, start = {}, 0
    for name, value in optimizer.named_parameters():
        part = flat[..., start : start + value.numel()]
        params[name] = part.reshape((*flat.shape[:-1], *value.shape))
        start += value.numel()
    return params


def fill_(optimizer: nn.Module, flat: Tensor) -> None:
    """Set the parameters to ``(D,)``."""
    with torch.no_grad():
        for name, value in unflatten(optimizer, flat).items():
            optimizer.get_parameter(name).copy_(value)


def digest(optimizer: nn.Module) -> str:
    """A hash of the values of all parameters, in 16 hexadecimal digits."""
    return hashlib.blake2b(flatten(optimizer).cpu().numpy().tobytes(), digest_size=8).hexdigest()
