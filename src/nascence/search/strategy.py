"""Strategies: which architecture to evaluate next, given the scores so far."""

import re
from collections import deque
from typing import Protocol, runtime_checkable

import torch

from nascence.search.limits import TRIES, Allowed, describe, sample_allowed
from nascence.search.seen import Distinct, Seen
from nascence.spaces import Architecture, SearchSpace


@runtime_checkable
class Strategy(Protocol):
    """Proposes architectures and learns from their scores, higher is better.

    With the same settings, generator and scores it proposes the same again, which is how a
    search resumes.
    """

    @property
    def space(self) -> SearchSpace:
        """The space it searches."""

    @property
    def description(self) -> str:
        """One line with the strategy and its settings, the seed of its generator included."""

    def ask(self) -> Architecture:
        """Propose an allowed architecture, by default none isomorphic to an earlier one.

        Raises :class:`LimitError` or :class:`ExhaustedError` where it finds none.
        """

    def tell(self, architecture: Architecture, score: float) -> None:
        """Learn the score of an architecture, proposed or not."""


class DistinctStrategy:
    """A strategy that proposes what is allowed and new, at random where it has no suggestion.

    A strategy of this kind writes ``_proposed`` and ``tell``.

    Args:
        space: the space to propose from.
        name: beginning of the description, with the strategy's own settings: ``"Evolution(…, "``.
        generator: its source of randomness, to be used by nothing else.
        allowed: tells which architectures may be proposed, such as :class:`Limits`.
        distinct: what is proposed only once; see :data:`nascence.search.Distinct`.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        name: str,
        generator: torch.Generator,
        allowed: Allowed | None,
        distinct: Distinct,
    ) -> None:
        self.space = space
        self.description = f"{name}{settings(generator, allowed, distinct)})"
        self._allowed, self._generator = allowed, generator
        self._seen = Seen(space, distinct)

    def ask(self) -> Architecture:
        """Propose an architecture; see :class:`Strategy`."""
        architecture = self._proposed() or self._random()
        self._meet(architecture)
        return architecture

    def _proposed(self) -> Architecture | None:
        """What to score next, new and allowed; None for a random one."""
        return None

    def _random(self) -> Architecture:
        return sample_allowed(
            self.space, allowed=self._allowed, known=self._seen, generator=self._generator
        )

    def _fits(self, architecture: Architecture) -> bool:
        """Whether an architecture is new and allowed."""
        if architecture in self._seen:
            return False
        return self._allowed is None or self._allowed(architecture)

    def _meet(self, architecture: Architecture) -> None:
        """Note that an architecture was proposed, or that its score was told."""
        self._seen.add(architecture)

    def _below(self, bound: int) -> int:
        return int(torch.randint(bound, (), generator=self._generator))


class RandomSearch(DistinctStrategy):
    """Draws architectures uniformly.

    Args:
        space: the space to draw from.
        generator, allowed, distinct: see :class:`DistinctStrategy`.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        generator: torch.Generator,
        allowed: Allowed | None = None,
        distinct: Distinct = "functions",
    ) -> None:
        super().__init__(
            space, name="RandomSearch(", generator=generator, allowed=allowed, distinct=distinct
        )

    def tell(self, architecture: Architecture, score: float) -> None:
        """Note the architecture as seen; random search learns nothing from the score."""
        self._meet(architecture)


class Evolution(DistinctStrategy):
    """Regularised evolution: Real, Aggarwal, Huang and Le, AAAI 2019, algorithm 1.

    The first ``population`` architectures are random. Then the best of ``sample`` members, drawn
    with replacement, is mutated; its child joins, and the oldest member leaves. The defaults are
    those of NATS-Bench. A child that is not allowed, or was seen before, is dropped for another,
    mutated once more with every hundredth; with ``distinct="nothing"`` and no limits it is the
    published algorithm, which evaluates an architecture as often as it comes up.

    Args:
        space: the space to draw from.
        population: number of members.
        sample: number of members that compete to be the parent.
        generator, allowed, distinct: see :class:`DistinctStrategy`.

    Raises:
        ValueError: ``sample`` is not from 1 to ``population``.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        generator: torch.Generator,
        population: int = 10,
        sample: int = 3,
        allowed: Allowed | None = None,
        distinct: Distinct = "functions",
    ) -> None:
        if not 1 <= sample <= population:
            raise ValueError(
                f"sample is {sample} and population {population}; "
                "sample must be at least 1 and at most population"
            )
        super().__init__(
            space,
            name=f"Evolution(population={population}, sample={sample}, ",
            generator=generator,
            allowed=allowed,
            distinct=distinct,
        )
        self._size, self._sample = population, sample
        self._population: deque[tuple[float, Architecture]] = deque(maxlen=population)

    def tell(self, architecture: Architecture, score: float) -> None:
        """Let the architecture join the population, whose oldest member leaves."""
        self._population.append((score, architecture))
        self._meet(architecture)

    def _proposed(self) -> Architecture | None:
        if len(self._population) < self._size:
            return None
        for attempt in range(TRIES):
            places = torch.randint(self._size, (self._sample,), generator=self._generator)
            members = (self._population[place] for place in places.tolist())
            _, child = max(members, key=lambda member: member[0])
            for _ in range(1 + attempt // 100):
                child = self.space.mutate(child, generator=self._generator)
            if self._fits(child):
                return child
        return None


def settings(
    generator: torch.Generator, allowed: Allowed | None, distinct: Distinct = "functions"
) -> str:
    """Write the settings that every strategy has, for its description; the seed comes last."""
    words = [] if allowed is None else [f"allowed={describe(allowed)}"]
    words += [] if distinct == "functions" else [f"distinct={distinct!r}"]
    return ", ".join([*words, f"seed={generator.initial_seed()}"])


def without_seed(description: str) -> str:
    """Return a strategy's description without its seed: equal for workers on one search."""
    return re.sub(r"(, )?seed=\d+", "", description)
