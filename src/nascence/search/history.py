"""What a search has evaluated."""

from dataclasses import dataclass, field

from nascence.spaces import Architecture


@dataclass(frozen=True)
class Candidate:
    """An evaluated architecture. Two are equal whatever the time they took.

    Attributes:
        architecture: what was evaluated.
        score: what the evaluator gave.
        seconds: that the evaluation took, wall time.
        number: its place in the history, from 0.
    """

    architecture: Architecture
    score: float
    seconds: float = field(compare=False)
    number: int


@dataclass(frozen=True)
class History:
    """All candidates of a search, in the order of their evaluation."""

    candidates: tuple[Candidate, ...]
    direction: str = "maximize"

    def __len__(self) -> int:
        return len(self.candidates)

    @property
    def best(self) -> Candidate:
        """The candidate with the best score, the earliest of equals."""
        if not self.candidates:
            raise ValueError("the history is empty; allow the search at least one trial")
        pick = max if self.direction == "maximize" else min
        return pick(self.candidates, key=lambda candidate: candidate.score)
