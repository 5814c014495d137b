"""Which paths of a supernet a training step takes."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Protocol

import torch

from nascence.spaces import Architecture, Choices, Restrictable, SearchSpace, name_of

TRIES = 10_000


class PathSampler(Protocol):
    """Draws the paths of one training step, whose gradients add up."""

    def __call__(
        self, space: SearchSpace, choices: Choices, *, generator: torch.Generator
    ) -> list[Architecture]:
        """Return one or more architectures with these choices of each decision."""


def uniform_paths(
    space: SearchSpace, choices: Choices, *, generator: torch.Generator
) -> list[Architecture]:
    """Draw one path, uniformly among those that the space allows (Guo et al., SPOS, ECCV 2020).

    Raises:
        ValueError: no path was found that takes these choices.
    """
    path = _independent(choices, generator)
    for _ in range(TRIES):
        if _legal(space, path):
            return [path]
        path = space.sample(generator=generator)
        if not all(index in held for index, held in zip(path, choices, strict=True)):
            path = ()
    raise ValueError(f"no architecture of {space.description} in {TRIES:,} tries has {choices}")


def fair_paths(
    space: SearchSpace, choices: Choices, *, generator: torch.Generator
) -> list[Architecture]:
    """Draw a round of paths that takes every choice of every decision equally often.

    "Strict fairness" of Chu, Zhang and Xu, "FairNAS", ICCV 2021, algorithm 1: one random order of
    the choices of each decision, read side by side. A decision with fewer choices than another
    repeats with a new order, so that its choices are taken equally often to within one.

    Raises:
        ValueError: the space allows not every combination of choices.
    """
    rounds = max(map(len, choices))
    columns = []
    for held in choices:
        column: list[int] = []
        while len(column) < rounds:
            order = torch.randperm(len(held), generator=generator).tolist()
            column += [held[place] for place in order]
        columns.append(column[:rounds])
    paths = list(zip(*columns, strict=True))
    if not all(_legal(space, path) for path in paths):
        raise ValueError(f"not every choice goes with every other in {space.description}")
    return paths


def binned_paths(cost: Callable[[Architecture], float], edges: Sequence[float]) -> PathSampler:
    """Return a sampler that takes every range of costs equally often (Guo et al., SPOS, ECCV 2020).

    A bin is drawn uniformly, then paths until one has a cost in it; a bin in which none is found
    is drawn no more in that step.

    Args:
        cost: cost of an architecture, for example ``space.macs``.
        edges: edges of the bins, ascending, two or more; see :func:`cost_edges`.

    Raises:
        ValueError: fewer than two edges, or not in ascending order.
    """
    edges = list(edges)
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"edges are {edges}; give two or more, in ascending order")

    return partial(_binned, cost=cost, edges=edges)


def cost_edges(
    space: SearchSpace,
    cost: Callable[[Architecture], float],
    *,
    bins: int,
    generator: torch.Generator,
    samples: int = 1000,
) -> list[float]:
    """Return the edges of equal bins between the least and the largest cost of random samples.

    Raises:
        ValueError: ``bins`` is below 1, or all samples cost the same.
    """
    costs = [cost(space.sample(generator=generator)) for _ in range(samples)]
    low, high = min(costs), max(costs)
    if bins < 1 or low == high:
        raise ValueError(f"bins is {bins}, costs go from {low} to {high}: there is nothing to bin")
    return [low + (high - low) * place / bins for place in range(bins + 1)]


def _binned(
    space: SearchSpace,
    choices: Choices,
    *,
    generator: torch.Generator,
    cost: Callable[[Architecture], float],
    edges: Sequence[float],
) -> list[Architecture]:
    for place in torch.randperm(len(edges) - 1, generator=generator).tolist():
        for _ in range(200):
            (path,) = uniform_paths(space, choices, generator=generator)
            if edges[place] <= cost(path) <= edges[place + 1]:
                return [path]
    raise ValueError(
        f"no architecture with a cost from {edges[0]:,.10g} to {edges[-1]:,.10g} was found; "
        "take the edges of the bins from the space, with cost_edges"
    )


def _independent(choices: Choices, generator: torch.Generator) -> Architecture:
    return tuple(held[int(torch.randint(len(held), (), generator=generator))] for held in choices)


def _legal(space: SearchSpace, path: Architecture) -> bool:
    try:
        space.canonical(path)
    except ValueError:
        return False
    return True


def restricted_paths(
    space: SearchSpace, choices: Choices, *, generator: torch.Generator
) -> list[Architecture]:
    """Draw one path uniformly from what is left of a supernet, however much it has shrunk.

    Raises:
        ValueError: a space that cannot be restricted, or of which nothing is left.
    """
    left = restrictable(space).restricted(choices)
    return [left.widen(left.sample(generator=generator))]


def restrictable(space: SearchSpace) -> Restrictable:
    """Return the space; raise ``ValueError`` where no choice can be dropped from it."""
    if not isinstance(space, Restrictable):
        raise ValueError(f"{name_of(space)} has no method restricted, which dropping choices needs")
    return space
