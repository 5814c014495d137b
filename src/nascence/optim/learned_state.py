"""The state of `nascence.optim.Learned` as it is saved, and what is refused when it is loaded.

All of it is in ``state`` and ``param_groups``, as wrappers of ``torch.optim`` optimizers keep
nothing else: every group names the weights, and what the whole network has in common is kept with
every parameter.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nascence.params import Params

LARGEST = torch.finfo(torch.float32).max
IDENTITY = "learned"
SHARED = "shared."


def shared_in(slots: Params) -> Params:
    """Return what the whole network has in common, from the state of one parameter."""
    return {
        key.removeprefix(SHARED): value for key, value in slots.items() if key.startswith(SHARED)
    }


def in_current_form(state_dict: dict[str, Any]) -> dict[str, Any]:
    """Return a state of an earlier version in the form of this one; any other as it is.

    Raises:
        ValueError: It is no dictionary.
    """
    if not isinstance(state_dict, dict):
        raise ValueError(f"the state is a {type(state_dict).__name__}; it must be a state_dict()")
    if IDENTITY not in state_dict or "shared" not in state_dict:
        return state_dict
    told = state_dict[IDENTITY]
    identity = {IDENTITY: f"{told.get('architecture')} {told.get('weights')}"}
    shared = {SHARED + key: value for key, value in state_dict["shared"].items()}
    return {
        "state": {index: {**slots, **shared} for index, slots in state_dict["state"].items()},
        "param_groups": [{**group, **identity} for group in state_dict["param_groups"]],
    }


def check_group(group: dict[str, Any], *, negative: bool = True) -> None:
    """Refuse a parameter group that cannot be stepped.

    Args:
        group: With ``lr``, ``weight_decay`` and ``params``.
        negative: Whether rates may be below 0, as rounding in a schedule leaves them.

    Raises:
        ValueError: For rates that are not finite in float32, and complex or integer parameters.
    """
    lr, decay = as_rate(group["lr"]), as_rate(group["weight_decay"])
    if not (abs(lr) <= LARGEST and abs(decay) <= LARGEST):
        raise ValueError(f"lr={lr}, weight_decay={decay}; both must be finite in float32")
    if not negative and (lr < 0 or decay < 0):
        raise ValueError(f"lr={lr}, weight_decay={decay}; neither may be negative")
    for value in group["params"]:
        if not value.is_floating_point():
            raise ValueError(
                f"a parameter is {value.dtype}; a learned optimizer needs real floating-point "
                "parameters (torch.view_as_real gives such a view of a complex one)"
            )


def as_rate(value: Any) -> float:
    """A rate; infinite where it is an integer that no floating-point number holds.

    Raises:
        ValueError: It is a text, which a schedule would stumble over later.
    """
    if isinstance(value, str | bytes):
        raise ValueError(f"a rate is {value!r}; give a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def check_state(state_dict: dict[str, Any], identity: str, blanks: Sequence[Params]) -> None:
    """Refuse a state that is not of this optimizer and these parameters.

    Args:
        state_dict: What is to be loaded.
        identity: Architecture and digest of the weights of the optimizer.
        blanks: A state of each parameter, of the right shapes.

    Raises:
        ValueError: With what the state is of.
    """
    if not {"state", "param_groups"} <= state_dict.keys():
        raise ValueError("the state has no `state` and `param_groups`; it is of no optimizer")
    name = identity.split()[0]
    indices = []
    for group in state_dict["param_groups"]:
        theirs = str(group.get(IDENTITY, "another optimizer"))
        if theirs.split()[0] != name:
            raise ValueError(
                f"the state is of {theirs}, and this is {name}; "
                "load it into the optimizer that wrote it"
            )
        if theirs != identity:
            raise ValueError(
                f"the state was written with other weights ({theirs}, not {identity}); "
                "construct the optimizer with the same weights"
            )
        indices += group["params"]
    if len(indices) != len(blanks):
        raise ValueError(
            f"the state is of {len(indices)} parameters, and this optimizer has {len(blanks)}"
        )
    for index, blank in zip(indices, blanks, strict=True):
        _check_slots(index, state_dict["state"].get(index), blank)


def _check_slots(index: Any, slots: Params | None, blank: Params) -> None:
    if not slots:  # a parameter that never had a gradient
        return
    if slots.keys() != blank.keys():
        raise ValueError(
            f"the state of parameter {index} has {', '.join(slots)}; it needs {', '.join(blank)}"
        )
    for key, slot in slots.items():
        if not isinstance(slot, Tensor):
            raise ValueError(
                f"the state of parameter {index} is damaged: its {key} is no tensor but a "
                f"{type(slot).__name__}"
            )
        if slot.isnan().any():
            raise ValueError(
                f"the state of parameter {index} is damaged: its {key} holds values that are not "
                "a number; go on from an earlier one"
            )
        if slot.shape != blank[key].shape:
            raise ValueError(
                f"the state of parameter {index} is of another shape: its {key} is "
                f"{tuple(slot.shape)}, not {tuple(blank[key].shape)}"
            )
