"""Named parameters of a network."""

import copy

import torch
from torch import Tensor, nn

Params = dict[str, Tensor]


def of(model: nn.Module) -> Params:
    """Copies of a model's parameters, keyed like ``named_parameters()``."""
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def load(model: nn.Module, params: Params) -> nn.Module:
    """A copy of ``model`` with these parameters; buffers are the model's own.

    Raises ValueError that names the first missing, superfluous or wrongly shaped parameter.
    """
    loaded = copy.deepcopy(model)
    own = dict(loaded.named_parameters())
    if missing := [name for name in own if name not in params]:
        raise ValueError(f"{len(missing)} parameters are missing, the first is {missing[0]!r}")
    if extra := [name for name in params if name not in own]:
        raise ValueError(f"the model has no parameter {extra[0]!r} ({len(extra)} such names)")
    with torch.no_grad():
        for name, parameter in own.items():
            if params[name].shape != parameter.shape:
                raise ValueError(
                    f"parameter {name!r} has shape {tuple(params[name].shape)}; "
                    f"the model needs {tuple(parameter.shape)}"
                )
            parameter.copy_(params[name])
    return loaded
