"""Search guided by an accuracy predictor that is fitted again as scores come in."""

import numpy as np
import torch

from nascence.search.accuracy_predictor import FEWEST, AccuracyPredictor, Model
from nascence.search.codes import finite
from nascence.search.limits import Allowed
from nascence.search.listing import MOST_LISTED, Listing, listing
from nascence.search.seen import Distinct, Seen
from nascence.search.strategy import DistinctStrategy
from nascence.spaces import Architecture, Crossable, name_of

_GENERATION, _PARENTS = 50, 20


class PredictorSearch(DistinctStrategy):
    """Proposes what a predictor, fitted to the scores so far, considers best.

    Wen et al., "Neural Predictor for Neural Architecture Search", ECCV 2020, fit one on random
    architectures and score those that it predicts to be the best; Cai et al. (Once-for-All), ICLR
    2020, find them by evolution on the predictor under a limit. Here the two take turns: after
    ``initial`` random architectures a predictor is fitted, a batch of the best that are allowed
    and new is proposed, and the next is fitted on all scores.

    A space of up to ``most_listed`` architectures is predicted whole. In a larger one an evolution
    on the predictor finds them: in generations of 50, each child is one of the 20 best so far or
    a mixture of two of them, with up to two mutations.

    Args:
        space: the space to draw from; it must have ``crossover``.
        generator: its source of randomness, to be used by nothing else.
        initial: random architectures in the beginning.
        batch: architectures proposed by one predictor: so many, or a tenth of those scored where
            that is more.
        model: what the predictor is; see :class:`AccuracyPredictor`.
        candidates: architectures that an evolution on the predictor meets.
        most_listed: see above.
        allowed: tells which architectures may be proposed, such as :class:`Limits`.
        distinct: ``"functions"`` or ``"architectures"``: what is proposed once only.

    Raises:
        ValueError: the space is not ``Crossable``, or a setting is not allowed.
    """

    def __init__(
        self,
        space: Crossable,
        *,
        generator: torch.Generator,
        initial: int = 20,
        batch: int = 5,
        model: Model = "kernel",
        candidates: int = 1000,
        most_listed: int = MOST_LISTED,
        allowed: Allowed | None = None,
        distinct: Distinct = "functions",
    ) -> None:
        if not isinstance(space, Crossable):
            raise ValueError(f"{name_of(space)} has no crossover; the search needs it")
        if initial < FEWEST or batch < 1 or candidates < 1:
            raise ValueError(
                f"initial is {initial}, batch {batch} and candidates {candidates}; give at least "
                f"{FEWEST}, 1 and 1"
            )
        if distinct == "nothing":
            raise ValueError("distinct is 'nothing'; a predictor proposes what has no score yet")
        super().__init__(
            space,
            name=f"PredictorSearch(initial={initial}, batch={batch}, model={model!r}, "
            f"candidates={candidates}, most_listed={most_listed}, ",
            generator=generator,
            allowed=allowed,
            distinct=distinct,
        )
        self.space: Crossable = space
        self._initial, self._batch, self._candidates = initial, batch, candidates
        self._model: Model = model
        self._scored: list[Architecture] = []
        self._scores: list[float] = []
        self._queue: list[Architecture] = []
        self._listing: Listing | None = None
        self._most_listed: int | None = most_listed

    def _proposed(self) -> Architecture | None:
        architecture = self._next()
        if architecture is None and len(self._scored) >= self._initial:
            self._queue = self._best()[::-1]  # they are taken from the end
            architecture = self._next()
        return architecture

    def tell(self, architecture: Architecture, score: float) -> None:
        """Let the next predictor learn the score."""
        self._meet(architecture)
        self._scored.append(architecture)
        self._scores.append(score)

    def _meet(self, architecture: Architecture) -> None:
        super()._meet(architecture)
        if self._listing is not None:
            self._listing.remove(architecture)

    def _next(self) -> Architecture | None:
        """The best of the last batch that no other search has scored in the meantime."""
        while self._queue:
            architecture = self._queue.pop()
            if architecture not in self._seen:
                return architecture
        return None

    def _best(self) -> list[Architecture]:
        """New allowed architectures with the highest predictions, best first."""
        if len({self.space.canonical(each) for each in self._scored}) < FEWEST:
            return []
        predictor = AccuracyPredictor.fit(
            self.space,
            self._scored,
            finite(self._scores),
            generator=self._generator,
            model=self._model,
        )
        count = max(self._batch, len(self._scored) // 10)
        if self._most_listed is not None:  # the first time
            self._listing = listing(self.space, self._allowed, self._seen, most=self._most_listed)
            self._most_listed = None
        if self._listing is None:
            return self._evolved(predictor, count)
        return self._ranked(self._listing, predictor, count)

    def _ranked(
        self, listed: Listing, predictor: AccuracyPredictor, count: int
    ) -> list[Architecture]:
        """The best of all that are left."""
        rows = np.flatnonzero(listed.left)
        predicted = predictor.predict_codes(listed.codes[rows]).numpy()
        order = np.argsort(-predicted, kind="stable")[:count]
        return [listed.architectures[row] for row in rows[order]]

    def _evolved(self, predictor: AccuracyPredictor, count: int) -> list[Architecture]:
        """The best of those that an evolution on the predictor comes across."""
        scores = predictor.predict(self._scored).tolist()
        parents = _highest(list(zip(scores, self._scored, strict=True)), _PARENTS)
        met = Seen(self.space, self._seen.distinct)
        found: list[tuple[float, Architecture]] = []
        while len(found) < self._candidates:
            children = self._children([parent for _, parent in parents], met)
            if not children:
                break
            scored = list(zip(predictor.predict(children).tolist(), children, strict=True))
            found += scored
            parents = _highest(parents + scored, _PARENTS)
        return [architecture for _, architecture in _highest(found, count)]

    def _children(self, parents: list[Architecture], met: Seen) -> list[Architecture]:
        """New allowed mixtures and mutants; fewer if ten times as many tries give no more."""
        found: list[Architecture] = []
        for _ in range(10 * _GENERATION):
            bounds = len(parents), len(parents), 2, 3
            first, second, coin, steps = map(self._below, bounds)
            child = parents[first]
            if coin:
                child = self.space.crossover(child, parents[second], generator=self._generator)
            for _ in range(steps):
                child = self.space.mutate(child, generator=self._generator)
            if child not in met and self._fits(child):
                met.add(child)
                found.append(child)
                if len(found) == _GENERATION:
                    break
        return found


def _highest(
    scored: list[tuple[float, Architecture]], count: int
) -> list[tuple[float, Architecture]]:
    return sorted(scored, key=lambda pair: -pair[0])[:count]
