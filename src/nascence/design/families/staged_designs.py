"""The networks that the family of stages considers: designed by hand, drawn, and mutated."""

from itertools import pairwise

import torch

from nascence.search import Allowed
from nascence.spaces import Architecture, StagedSpace

HAND_WIDTHS = (16, 32, 48, 64)
TRIES = 200
LARGE = 96
"""Sides in pixels from which on designs by hand have a stem of stride 4."""


def hand_designs(space: StagedSpace) -> tuple[Architecture, ...]:
    """Residual networks as a user would draw them: one block a stage, channels doubled.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, table 1, at 16 to 64
    channels in the first stage; from the narrowest on.
    """
    stem = 4 if space.default_side >= LARGE else 2
    lines = [
        ";".join(
            [f"stem{stem}", *(f"{width << stage}x1 residual" for stage in range(space.stages))]
        )
        for width in HAND_WIDTHS
        if width << (space.stages - 1) <= max(space.widths)
    ]
    return tuple(space.canonical(space.parse(line)) for line in lines)


def is_sensible(space: StagedSpace, architecture: Architecture) -> bool:
    """Whether channels never shrink nor grow more than fourfold, and a block is somewhere.

    What breaks that costs as much as a better network that does not, so trying it is a waste.
    """
    values = space.values(architecture)
    stages = range(1, space.stages + 1)
    widths = [int(values[f"width_{stage}"]) for stage in stages]
    grows = all(before <= after <= 4 * before for before, after in pairwise(widths))
    return grows and any(int(values[f"depth_{stage}"]) for stage in stages)


def drawn(
    space: StagedSpace,
    count: int,
    *,
    allowed: Allowed,
    known: set[Architecture],
    generator: torch.Generator,
) -> list[Architecture]:
    """Draw up to ``count`` sensible architectures that are allowed and not known; fewer if rare."""
    found: list[Architecture] = []
    for _ in range(TRIES * count):
        if len(found) == count:
            break
        architecture = space.canonical(space.sample(generator=generator))
        if architecture in known or architecture in found:
            continue
        if is_sensible(space, architecture) and allowed(architecture):
            found.append(architecture)
    return found


def mutants(
    space: StagedSpace,
    parents: list[Architecture],
    count: int,
    *,
    allowed: Allowed,
    known: set[Architecture],
    generator: torch.Generator,
) -> list[Architecture]:
    """Change one or two decisions of the parents, in turn, to ``count`` allowed new architectures.

    Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019,
    section 3.2, has one change; two let widths trade places.
    """
    found: list[Architecture] = []
    for attempt in range(TRIES * count):
        if len(found) == count:
            break
        child = parents[attempt % len(parents)]
        for _ in range(1 + attempt % 2):
            child = space.canonical(space.mutate(child, generator=generator))
        if child in known or child in found:
            continue
        if is_sensible(space, child) and allowed(child):
            found.append(child)
    return found
