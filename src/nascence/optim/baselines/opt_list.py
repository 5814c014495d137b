"""A list of settings to try one after the other: opt_list.

Made by the procedure of Metz et al. (2020, "Using a thousand optimization tasks to learn
hyperparameter search strategies", arXiv:2002.11887, section 4): random settings are tried on many
tasks, and the list begins with the setting that is best on average, goes on with the one that
complements it best, and so on. The settings are of `NAdamWCosine` and the tasks those of
`nascence.tasks`; the published list is from other tasks.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nascence.core.weights import RELEASED as FOLDER
from nascence.core.weights import Weights, read_weights, write_weights
from nascence.optim.baselines.tuned_adam import NAdamWCosine
from nascence.params import Params

RELEASED = FOLDER / "opt-list.safetensors"
_FORMAT = "nascence-opt-list-1"


def greedy_order(losses: Tensor, count: int) -> list[int]:
    """Return candidates in the order in which to try them.

    Each is the one that makes the mean over tasks of the lowest loss so far least; among equals
    the one of the lowest mean, then the first. Once none of those left improves anything, the
    choice starts afresh among them, as if nothing had been tried.

    Args:
        losses: Normalised losses ``(candidates, tasks)``.
        count: How many are wanted.

    Raises:
        ValueError: For a count that is not in ``1 ... candidates`` and losses not a number.
    """
    candidates = len(losses)
    if not 1 <= count <= candidates:
        raise ValueError(f"count is {count}; there are {candidates} candidates")
    if losses.isnan().any():
        raise ValueError("a loss is not a number; normalise the losses first")
    losses = losses.double()
    means = losses.mean(1)
    left = torch.ones(candidates, dtype=torch.bool)
    best = torch.full((losses.shape[1],), torch.inf, dtype=losses.dtype)
    order: list[int] = []
    while len(order) < count:
        together = torch.minimum(losses, best).mean(1)
        if order and not (together[left] < best.mean() - 1e-12).any():
            best = torch.full_like(best, torch.inf)
            together = means
        lowest = together[left].min()
        equal = left & (together <= lowest + 1e-12)
        chosen = int(torch.where(equal, means, torch.inf).argmin())
        order.append(chosen)
        left[chosen] = False
        best = torch.minimum(best, losses[chosen])
    return order


def save_opt_list(theta: Params, path: str | Path, *, card: dict[str, Any]) -> None:
    """Write settings ``(count,)`` of `NAdamWCosine` and how they were found, whole or not."""
    tensors = {name: value.detach().float() for name, value in theta.items()}
    write_weights(path, tensors, metadata={"format": _FORMAT, "card": json.dumps(card)})


def load_opt_list(path: str | Path = RELEASED) -> Params:
    """Return the settings, theta ``(count,)`` of `NAdamWCosine`, best first.

    Raises:
        ValueError: For a file that `save_opt_list` did not write.
    """
    theta = _read(path).tensors
    names = {name for name, _ in NAdamWCosine().named_parameters()}
    if theta.keys() != names or len({value.shape for value in theta.values()}) != 1:
        raise ValueError(f"{path} has not the settings of an opt_list; it is damaged")
    return theta


def read_opt_list_card(path: str | Path = RELEASED) -> dict[str, Any]:
    """Return how the settings were found.

    Raises:
        ValueError: For a file that `save_opt_list` did not write.
    """
    return _read(path).values("card", path)


def _read(path: str | Path) -> Weights:
    return read_weights(path, of="opt_list", format=_FORMAT)
