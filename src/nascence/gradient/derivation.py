"""From the weights of the choices to one network, as the spaces publish it."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nascence.spaces import Architecture, Derivable
from nascence.supernets import SuperNet

SKIP, NONE = "skip_connect", "none"


def derive(supernet: SuperNet, weights: Sequence[Tensor]) -> Architecture:
    """Return the network that the space's own rule reads from the weights.

    NAS-Bench-201 and the small space take the strongest choice of every edge; DARTS keeps the two
    edges into each node whose strongest operation but ``none`` is strongest (Liu et al., ICLR
    2019, section 2.4). What a supernet does not hold is not chosen: a part of a split one where an
    edge must not be ``none`` keeps that edge, and leaves out one that holds nothing else.

    Args:
        supernet: whole, or a part of a split one.
        weights: for each decision one non-negative weight, at most 1, of each choice held.

    Raises:
        ValueError: no network that the supernet holds can be derived, whatever the weights:
            a decision was split that the rule needs whole.
    """
    space = supernet.space
    if not isinstance(space, Derivable):
        raise ValueError(
            f"{type(space).__name__} has no method derive, which tells how weights become a network"
        )
    spread = []
    for vector, held, (_, values) in zip(
        weights, supernet.choices, supernet.space.decisions, strict=True
    ):
        full = torch.full((len(values),), -1e6)
        full[list(held)] = vector.detach().float().cpu()
        if NONE in values and values.index(NONE) not in held:
            full[list(held)] += 2  # stronger than every edge that may be left out
        spread.append(full)
    architecture = space.derive(spread)
    for index, held, (name, values) in zip(
        architecture, supernet.choices, supernet.space.decisions, strict=True
    ):
        if index not in held:
            names = ", ".join(str(values[each]) for each in held)
            raise ValueError(
                f"a part of the split supernet holds only {names} at {name!r}, and no network can "
                f"be derived there: the rule needs {values[index]!r}. It needs that decision "
                "whole; split another one, or split it into groups that leave a choice"
            )
    return architecture


def check_derivable(supernet: SuperNet) -> None:
    """Raise ``ValueError`` where nothing can be derived from a supernet; see :func:`derive`."""
    derive(supernet, [torch.full((len(held),), 1 / len(held)) for held in supernet.choices])


def entropy(probabilities: Sequence[Tensor]) -> float:
    """Mean over the decisions with a choice of the entropy over its greatest value, in [0, 1].

    Each decision's probabilities are ``(choices,)``.
    """
    shares = [
        float(torch.special.entr(vector).sum()) / math.log(len(vector))
        for vector in probabilities
        if len(vector) > 1
    ]
    return sum(shares) / len(shares) if shares else 0.0


def skips(supernet: SuperNet, architecture: Architecture) -> int:
    """Count the identities in a network's cell: the normal one, where there are two kinds."""
    return sum(
        values[index] == SKIP and not name.startswith("reduce")
        for index, (name, values) in zip(architecture, supernet.space.decisions, strict=True)
    )
