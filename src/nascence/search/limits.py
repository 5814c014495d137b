"""Limits on what an architecture may cost, and drawing architectures that keep to them."""

import math
from collections.abc import Callable, Container, Mapping
from typing import NamedTuple

import torch

from nascence.spaces import Architecture, SearchSpace, name_of

Allowed = Callable[[Architecture], bool]
TRIES = 10_000


class LimitError(ValueError):
    """No architecture keeps to the limits, as far as was tried.

    Args:
        said: What was tried, and what to do.
        smallest: The smallest of each cost that was met, by name.
    """

    def __init__(self, *said: object, smallest: Mapping[str, float] | None = None) -> None:
        super().__init__(*said)
        self.smallest = dict(smallest or {})


class ExhaustedError(ValueError):
    """No architecture is left that was not proposed before, as far as was tried."""


class Limit(NamedTuple):
    """One cost and the most of it that is allowed, for example ``("macs", space.macs, 20e6)``."""

    name: str
    cost: Callable[[Architecture], float]
    at_most: float


class Limits:
    """Tells whether architectures keep to every limit: call it with an architecture.

    Unlike a plain function, it can guide a search to architectures within tight limits, and
    tells how near the nearest came.

    Raises:
        ValueError: a limit is not above zero.
    """

    def __init__(self, *limits: Limit) -> None:
        for name, _, at_most in limits:
            if not at_most > 0:
                raise ValueError(f"the limit of {name} is {at_most}; it must be above zero")
        self.limits = limits

    def __call__(self, architecture: Architecture) -> bool:
        """Return whether an architecture keeps to every limit."""
        return all(cost(architecture) <= at_most for _, cost, at_most in self.limits)

    def __str__(self) -> str:
        return " and ".join(f"{name} <= {at_most:,.10g}" for name, _, at_most in self.limits)


def describe(allowed: Allowed | None) -> str:
    """Describe what is allowed, in the same words in every process."""
    return str(allowed) if isinstance(allowed, Limits) else name_of(allowed)


def sample_allowed(
    space: SearchSpace,
    *,
    allowed: Allowed | None,
    known: Container[Architecture],
    generator: torch.Generator,
) -> Architecture:
    """Draw an allowed architecture that is not in ``known``, such as :class:`Seen`.

    Uniformly, by rejection, in at most ``TRIES`` tries; where that fails, by as many mutations
    that do not lead further from what :class:`Limits` allows.

    Raises:
        LimitError: none of the tried architectures was allowed.
        ExhaustedError: all of the allowed ones were known.
    """
    smallest: dict[str, float] = {}
    met = False
    nearest, least = space.sample(generator=generator), float("inf")
    for attempt in range(2 * TRIES):
        if attempt < TRIES:
            architecture = space.sample(generator=generator)
        else:
            architecture = space.mutate(nearest, generator=generator)
        excess = _excess(architecture, allowed, smallest)
        if excess <= 1:
            met = True
            if architecture not in known:
                return architecture
        if max(excess, 1) <= least:
            nearest, least = architecture, max(excess, 1)
    if met:
        raise ExhaustedError(
            f"no new architecture in {2 * TRIES:,} tries; all those allowed seem to be known"
        )
    found = ", ".join(f"{name} {value:,.10g}" for name, value in smallest.items())
    raise LimitError(
        f"no architecture keeps to {describe(allowed)} among {2 * TRIES:,} tried"
        + (f"; the smallest had {found}" if found else "")
        + "; raise the limit or choose a space with smaller networks",
        smallest=smallest,
    )


def _excess(
    architecture: Architecture, allowed: Allowed | None, smallest: dict[str, float]
) -> float:
    """How far a cost is over its limit, at most 1 if allowed; ``smallest`` is kept up to date."""
    if not isinstance(allowed, Limits):
        return 1.0 if allowed is None or allowed(architecture) else 2.0
    excess = 0.0
    for name, cost, at_most in allowed.limits:
        value = cost(architecture)
        if math.isnan(value):  # not measured: nothing says that it keeps to the limit
            return math.inf
        smallest[name] = min(value, smallest.get(name, value))
        excess = max(excess, value / at_most)
    return excess
