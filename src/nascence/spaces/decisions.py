"""Decisions and architectures: what a space is a list of, checked, drawn and written as points."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Architecture = tuple[int, ...]
"""One index per decision, into that decision's choices."""

Choices = tuple[tuple[int, ...], ...]
"""For each decision the indices of the choices that a supernet holds, in ascending order."""


class Decision(NamedTuple):
    """One thing to choose: its name, and the values to choose from."""

    name: str
    choices: tuple[str | int, ...]


def check_architecture(architecture: Architecture, decisions: tuple[Decision, ...]) -> Architecture:
    """Return ``architecture`` as a tuple, or raise ``ValueError`` naming what is wrong with it."""
    if len(architecture) != len(decisions):
        names = ", ".join(decision.name for decision in decisions)
        raise ValueError(
            f"architecture {tuple(architecture)} has {len(architecture)} indices; "
            f"this space has {len(decisions)} decisions: {names}"
        )
    for index, (name, choices) in zip(architecture, decisions, strict=True):
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(choices):
            raise ValueError(
                f"decision {name!r} has index {index!r}; it must be an int from 0 to "
                f"{len(choices) - 1}, one of the choices {', '.join(map(str, choices))}"
            )
    return tuple(architecture)


def sample_decisions(
    decisions: tuple[Decision, ...], *, generator: torch.Generator
) -> Architecture:
    """Draw one index per decision, uniformly and independently."""
    return tuple(_draw(len(decision.choices), generator) for decision in decisions)


def mutate_decision(
    architecture: Architecture, decisions: tuple[Decision, ...], *, generator: torch.Generator
) -> Architecture:
    """Change one decision, drawn uniformly among those with a choice, to another choice.

    Raises:
        ValueError: no decision has a second choice.
    """
    check_architecture(architecture, decisions)
    free = [place for place, decision in enumerate(decisions) if len(decision.choices) > 1]
    if not free:
        raise ValueError("no decision of this space has a second choice; nothing can be mutated")
    place = free[_draw(len(free), generator)]
    step = 1 + _draw(len(decisions[place].choices) - 1, generator)
    index = (architecture[place] + step) % len(decisions[place].choices)
    return (*architecture[:place], index, *architecture[place + 1 :])


def one_hot(architectures: Any, decisions: tuple[Decision, ...]) -> NDArray[np.float64]:
    """Write architectures ``(n, decisions)`` as the codes of all decisions ``(n, codes)``, float64.

    A decision has as many codes as choices, one for the one taken and zeros for the others.
    """
    sizes = [len(decision.choices) for decision in decisions]
    indices = np.asarray(architectures, dtype=np.int64).reshape(-1, len(sizes))
    codes = np.zeros((len(indices), sum(sizes)))
    np.put_along_axis(codes, indices + np.cumsum([0, *sizes[:-1]]), 1.0, axis=1)
    return codes


def check_choices(
    choices: Sequence[Sequence[int]],
    decisions: tuple[Decision, ...],
    *,
    held: Choices | None = None,
) -> Choices:
    """Return ``choices`` in order, or raise ``ValueError`` where they are not of ``decisions``.

    Args:
        choices: for each decision the indices to keep.
        decisions: decisions of the space.
        held: the indices to choose among; None for all of each decision.
    """
    kept = tuple(tuple(sorted(set(indices))) for indices in choices)
    if len(kept) != len(decisions):
        raise ValueError(f"{len(kept)} lists of choices for {len(decisions)} decisions")
    for place, (indices, (name, values)) in enumerate(zip(kept, decisions, strict=True)):
        allowed = tuple(range(len(values))) if held is None else held[place]
        if not indices or not set(indices) <= set(allowed):
            raise ValueError(f"choices {indices} of {name!r}; give one or more of {allowed}")
    return kept


def check_weights(weights: Sequence[Tensor], decisions: tuple[Decision, ...]) -> None:
    """Raise ``ValueError`` where ``weights`` are not one finite ``(choices,)`` per decision."""
    if len(weights) != len(decisions):
        raise ValueError(
            f"got {len(weights)} weight vectors; this space has {len(decisions)} decisions"
        )
    for vector, (name, choices) in zip(weights, decisions, strict=True):
        if vector.shape != (len(choices),):
            raise ValueError(
                f"the weights of {name!r} have shape {tuple(vector.shape)}; it must be "
                f"({len(choices)},), one for each of {', '.join(map(str, choices))}"
            )
        if not vector.isfinite().all():
            raise ValueError(f"the weights of {name!r} are not finite: {vector.tolist()}")


def shortened(value: object, limit: int = 120) -> str:
    """Quote a value from outside on one line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"


def _draw(bound: int, generator: torch.Generator) -> int:
    return int(torch.randint(bound, (1,), generator=generator))
