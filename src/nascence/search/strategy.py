"""Strategies: which architecture to evaluate next, given the scores so far."""

from collections import deque
from typing import Protocol, runtime_checkable

import torch

from nascence.search.limits import TRIES, Allowed, describe, draw
from nascence.spaces import Architecture, SearchSpace


@runtime_checkable
class Strategy(Protocol):
    """Proposes architectures and learns of their scores, higher is better.

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
        """Propose an allowed architecture, none isomorphic to an earlier one.

        Raises :class:`LimitError` or :class:`ExhaustedError` where it finds none.
        """

    def tell(self, architecture: Architecture, score: float) -> None:
        """Learn the score of an architecture, proposed or not."""


class RandomSearch:
    """Draws architectures uniformly.

    Args:
        space: what to draw from.
        generator: its source of randomness, to be used by nothing else.
        allowed: tells which architectures may be proposed, such as :class:`Limits`.
    """

    def __init__(
        self, space: SearchSpace, *, generator: torch.Generator, allowed: Allowed | None = None
    ) -> None:
        self.space = space
        self.description = f"RandomSearch({_settings(generator, allowed)})"
        self._allowed, self._generator = allowed, generator
        self._known: set[Architecture] = set()

    def ask(self) -> Architecture:
        """Propose an architecture; see :class:`Strategy`."""
        architecture = draw(
            self.space, allowed=self._allowed, known=self._known, generator=self._generator
        )
        self._known.add(self.space.canonical(architecture))
        return architecture

    def tell(self, architecture: Architecture, score: float) -> None:
        """Note the architecture as known; random search learns nothing from the score."""
        self._known.add(self.space.canonical(architecture))


class Evolution:
    """Regularised evolution: Real, Aggarwal, Huang and Le, AAAI 2019, algorithm 1.

    The first ``population`` architectures are random. Then the best of ``sample`` members, drawn
    with replacement, is mutated; its child joins, and the oldest member leaves. The defaults are
    those of NATS-Bench. Unlike the paper's, a child that is not allowed or is isomorphic to an
    earlier architecture is dropped for another, mutated once more with every hundredth.

    Args:
        space: what to draw from.
        generator: its source of randomness, to be used by nothing else.
        population: number of members.
        sample: number of members that compete to be the parent.
        allowed: tells which architectures may be proposed, such as :class:`Limits`.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        generator: torch.Generator,
        population: int = 10,
        sample: int = 3,
        allowed: Allowed | None = None,
    ) -> None:
        if not 1 <= sample <= population:
            raise ValueError(
                f"sample is {sample} and population {population}; "
                "sample must be at least 1 and at most population"
            )
        self.space = space
        self.description = (
            f"Evolution(population={population}, sample={sample}, {_settings(generator, allowed)})"
        )
        self._allowed, self._generator = allowed, generator
        self._size, self._sample = population, sample
        self._population: deque[tuple[float, Architecture]] = deque(maxlen=population)
        self._known: set[Architecture] = set()

    def ask(self) -> Architecture:
        """Propose an architecture; see :class:`Strategy`."""
        architecture = self._child() if len(self._population) == self._size else None
        if architecture is None:
            architecture = draw(
                self.space, allowed=self._allowed, known=self._known, generator=self._generator
            )
        self._known.add(self.space.canonical(architecture))
        return architecture

    def tell(self, architecture: Architecture, score: float) -> None:
        """Let the architecture join the population, whose oldest member leaves."""
        self._population.append((score, architecture))
        self._known.add(self.space.canonical(architecture))

    def _child(self) -> Architecture | None:
        for attempt in range(TRIES):
            places = torch.randint(self._size, (self._sample,), generator=self._generator)
            _, child = max((self._population[place] for place in places), key=lambda pair: pair[0])
            for _ in range(1 + attempt // 100):
                child = self.space.mutate(child, generator=self._generator)
            if self.space.canonical(child) in self._known:
                continue
            if self._allowed is None or self._allowed(child):
                return child
        return None


def _settings(generator: torch.Generator, allowed: Allowed | None) -> str:
    if allowed is None:
        return f"seed={generator.initial_seed()}"
    return f"allowed={describe(allowed)}, seed={generator.initial_seed()}"
