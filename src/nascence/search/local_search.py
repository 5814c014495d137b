"""Local search: from an architecture to its best neighbour, until none is better."""

from collections.abc import Iterator
from typing import Literal

import torch

from nascence.search.limits import Allowed
from nascence.search.seen import Distinct
from nascence.search.strategy import DistinctStrategy
from nascence.spaces import Architecture, Crossable, name_of


class LocalSearch(DistinctStrategy):
    """Local search: White, Nolen and Savani, UAI 2021, algorithm 1, with restarts.

    Scores a random architecture, then its neighbours, and moves on to the best of them; where none
    is better than where it stands, it starts anew.

    Args:
        space: the space to draw from; it must have ``neighbours``.
        generator: its source of randomness, to be used by nothing else.
        improvement: ``"best"`` scores all neighbours before it moves, as published; ``"first"``
            moves to the first that is better.
        shuffle: score the neighbours in random order, not in that in which the space lists them.
        starts: random architectures of which the best is where each descent begins.
        allowed: tells which architectures may be proposed, such as :class:`Limits`.
        distinct: ``"functions"`` or ``"architectures"``: a neighbour that counts as one scored
            before has its score.

    Raises:
        ValueError: the space is not ``Crossable``, or a setting is not allowed.
    """

    def __init__(
        self,
        space: Crossable,
        *,
        generator: torch.Generator,
        improvement: Literal["best", "first"] = "best",
        shuffle: bool = True,
        starts: int = 1,
        allowed: Allowed | None = None,
        distinct: Distinct = "functions",
    ) -> None:
        if not isinstance(space, Crossable):
            raise ValueError(f"{name_of(space)} has no neighbours; local search needs them")
        if improvement not in ("best", "first"):
            raise ValueError(f"improvement is {improvement!r}; use 'best' or 'first'")
        if starts < 1:
            raise ValueError(f"starts is {starts}; it must be at least 1")
        if distinct == "nothing":
            raise ValueError("distinct is 'nothing'; local search scores a neighbour once only")
        super().__init__(
            space,
            name=f"LocalSearch(improvement={improvement!r}, shuffle={shuffle}, starts={starts}, ",
            generator=generator,
            allowed=allowed,
            distinct=distinct,
        )
        self.space: Crossable = space
        self._improvement, self._shuffle, self._starts = improvement, shuffle, starts
        self._scores: dict[Architecture, float] = {}
        self._opening: list[Architecture] = []
        self._here: Architecture | None = None
        self._around: list[Architecture] = []
        self._unasked: list[Architecture] = []

    def ask(self) -> Architecture:
        """Propose an architecture; see :class:`Strategy`."""
        architecture = super().ask()
        if self._here is None:
            self._opening.append(architecture)
        return architecture

    def tell(self, architecture: Architecture, score: float) -> None:
        """Note the score, which also stands for all that count as this architecture."""
        self._meet(architecture)
        self._scores.setdefault(self._seen.key(architecture), score)

    def _proposed(self) -> Architecture | None:
        """Move as far as known scores lead, and return a neighbour to score; None at a start."""
        while True:
            if self._here is None and not self._begin():
                return None
            better = max(self._better(), key=lambda pair: pair[0], default=None)
            moving = better is not None and self._improvement == "first"
            while self._unasked and not moving:
                neighbour = self._unasked.pop()
                if neighbour not in self._seen:
                    return neighbour
            if better is not None:
                self._move(better[1])
            else:
                self._here = None

    def _begin(self) -> bool:
        """Move to the best of the opening architectures, once all of them have scores."""
        scored = [(self._score(each), each) for each in self._opening]
        known = [(score, each) for score, each in scored if score is not None]
        if len(known) < self._starts:
            return False
        self._opening = []
        self._move(max(known, key=lambda pair: pair[0])[1])
        return True

    def _move(self, architecture: Architecture) -> None:
        self._here = architecture
        self._around = [
            neighbour
            for neighbour in self.space.neighbours(architecture)
            if self._allowed is None or self._allowed(neighbour)
        ]
        order = list(range(len(self._around)))[::-1]  # they are taken from the end
        if self._shuffle:
            order = torch.randperm(len(self._around), generator=self._generator).tolist()
        self._unasked = [self._around[place] for place in order]

    def _better(self) -> Iterator[tuple[float, Architecture]]:
        assert self._here is not None
        here = self._score(self._here)
        for neighbour in self._around:
            score = self._score(neighbour)
            if score is not None and here is not None and score > here:
                yield score, neighbour

    def _score(self, architecture: Architecture) -> float | None:
        return self._scores.get(self._seen.key(architecture))
