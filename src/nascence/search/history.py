"""What a search has evaluated."""

from dataclasses import dataclass, field

from nascence.spaces import Architecture


@dataclass(frozen=True)
class Candidate:
    """An evaluated architecture. Equality does not depend on the time that it took.

    Attributes:
        architecture: what was evaluated.
        score: what the evaluator gave.
        seconds: wall time that the evaluation took.
        number: its place in the history, from 0.
        costs: what it costs, one value for each name in :attr:`History.costs`; lower is better.
    """

    architecture: Architecture
    score: float
    seconds: float = field(compare=False)
    number: int
    costs: tuple[float, ...] = ()


@dataclass(frozen=True)
class History:
    """All candidates of a search, in the order of their evaluation."""

    candidates: tuple[Candidate, ...]
    direction: str = "maximize"
    costs: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def best(self) -> Candidate:
        """The candidate with the best score, the earliest of equals.

        Raises:
            ValueError: the history is empty.
        """
        if not self.candidates:
            raise ValueError("the history is empty; allow the search at least one trial")
        pick = max if self.direction == "maximize" else min
        return pick(self.candidates, key=lambda candidate: candidate.score)

    def front(self) -> tuple[Candidate, ...]:
        """The Pareto front: candidates that no other matches or beats in score and in every cost.

        In the order of their scores, best first; of equals in everything the earliest alone.
        """
        sign = -1 if self.direction == "maximize" else 1
        points = {
            candidate: (sign * candidate.score, *candidate.costs) for candidate in self.candidates
        }
        found: list[Candidate] = []
        for candidate in sorted(points, key=lambda each: (points[each], each.number)):
            point = points[candidate]
            # Sorted so, none of the later ones is at least as good in everything.
            if not any(
                all(a <= b for a, b in zip(points[other], point, strict=True)) for other in found
            ):
                found.append(candidate)
        return tuple(found)
