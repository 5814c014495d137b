"""Evolution with crossover under a limit, as SPOS searches its supernet."""

from collections.abc import Callable

import torch

from nascence.search.limits import TRIES, Allowed
from nascence.search.seen import Distinct
from nascence.search.strategy import DistinctStrategy
from nascence.spaces import Architecture, Crossable, name_of


class CrossoverEvolution(DistinctStrategy):
    """Evolutionary search: Guo et al. (SPOS), ECCV 2020, algorithm 1.

    The first generation is random. Every further one is made of ``crossovers`` mixtures of two
    and ``mutants`` of one of the ``top`` best architectures of all, and random architectures up
    to ``population``. Twenty generations, the published number, are a budget of 1,000.

    Args:
        space: the space to draw from; it must have ``crossover``.
        generator: its source of randomness, to be used by nothing else.
        population: architectures of a generation.
        top: best architectures, which have children.
        crossovers: children of two.
        mutants: children of one.
        mutation: probability that a decision of a mutant is drawn anew.
        allowed: tells which architectures may be proposed: a limit of FLOPs, as published.
        distinct: what is proposed only once; see :data:`nascence.search.Distinct`.

    Raises:
        ValueError: the space is not ``Crossable``, or the sizes do not go together.
    """

    def __init__(
        self,
        space: Crossable,
        *,
        generator: torch.Generator,
        population: int = 50,
        top: int = 10,
        crossovers: int = 25,
        mutants: int = 25,
        mutation: float = 0.1,
        allowed: Allowed | None = None,
        distinct: Distinct = "functions",
    ) -> None:
        if not isinstance(space, Crossable):
            raise ValueError(f"{name_of(space)} has no crossover; this evolution needs it")
        if not 2 <= top <= population or min(crossovers, mutants) < 0:
            raise ValueError(
                f"top is {top}, population {population}, crossovers {crossovers} and mutants "
                f"{mutants}; top must be from 2 to population, the others not negative"
            )
        if crossovers + mutants > population or not 0 < mutation <= 1:
            raise ValueError(
                f"crossovers {crossovers} and mutants {mutants} must fit into the population of "
                f"{population}, and mutation {mutation} be above 0 and at most 1"
            )
        super().__init__(
            space,
            name=f"CrossoverEvolution(population={population}, top={top}, crossovers={crossovers}, "
            f"mutants={mutants}, mutation={mutation}, ",
            generator=generator,
            allowed=allowed,
            distinct=distinct,
        )
        self.space: Crossable = space
        self._population, self._top = population, top
        self._crossovers, self._mutants, self._mutation = crossovers, mutants, mutation
        self._best: list[tuple[float, Architecture]] = []
        self._asked = 0

    def _proposed(self) -> Architecture | None:
        place, asked = self._asked % self._population, self._asked
        self._asked += 1
        if place == 0:
            self._parents = [architecture for _, architecture in self._best]
        if asked < self._population or len(self._parents) < 2:
            return None
        if place < self._mutants:
            return self._child(self._mutant)
        return self._child(self._mixture) if place < self._mutants + self._crossovers else None

    def tell(self, architecture: Architecture, score: float) -> None:
        """Let the architecture be a parent of the next generation if it is among the best."""
        self._meet(architecture)
        self._best.append((score, architecture))
        self._best.sort(key=lambda pair: -pair[0])  # stable: the earlier of equals stays
        del self._best[self._top :]

    def _child(self, make: Callable[[], Architecture]) -> Architecture | None:
        for _ in range(TRIES // 10):
            child = make()
            if self._fits(child):
                return child
        return None

    def _mutant(self) -> Architecture:
        child = self._parents[self._below(len(self._parents))]
        coins = torch.rand(len(self.space.decisions), generator=self._generator)
        for _ in range(int((coins < self._mutation).sum())):
            child = self.space.mutate(child, generator=self._generator)
        return child

    def _mixture(self) -> Architecture:
        first, second = (self._parents[self._below(len(self._parents))] for _ in range(2))
        return self.space.crossover(first, second, generator=self._generator)
