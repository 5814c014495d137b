"""What a search for a generator went through."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from nascence.search.history import Candidate, History
from nascence.spaces import Architecture
from nascence.supernets import SuperNet
from nascence.training import DivergenceError

Stop = Literal["steps", "seconds"]


@dataclass(frozen=True)
class Round:
    """Steps of the shared weights, and then of the controller.

    Attributes:
        part: number of the supernet, 0 where there is one alone.
        stage: how many cells there were.
        steps: of the shared weights since the start of this part.
        discriminator_loss, generator_loss: means over the round.
        reward: mean score of what the controller drew, None where it made no step.
        entropy: of the controller's draws, mean over them, in nats.
        best: of what it drew, the decisions of these cells.
        resets: how often the shared weights had been drawn anew until then.
        seconds: wall time since the start of this part.
    """

    part: int
    stage: int
    steps: int
    discriminator_loss: float
    generator_loss: float | None
    reward: float | None
    entropy: float | None
    best: Architecture | None
    resets: int
    seconds: float


@dataclass(frozen=True)
class Growth:
    """The candidates at the end of one stage, best first, of which the first ``kept`` go on.

    Attributes:
        part, stage: see :class:`Round`.
        architectures: the decisions of ``stage`` cells.
        scores: with shared weights.
        seconds: that all of them took.
    """

    part: int
    stage: int
    architectures: tuple[Architecture, ...]
    scores: tuple[float, ...]
    kept: int
    seconds: float


@dataclass(frozen=True)
class GanHistory(History):
    """A history whose candidates are those at the end of the last stage, part after part.

    Their score is that of the images they make with shared weights.

    Attributes:
        rounds, growths: of all parts, in order.
        stops: what ended the search of each part.
        supernets: trained, in the order of the parts.
    """

    rounds: tuple[Round, ...] = ()
    growths: tuple[Growth, ...] = ()
    stops: tuple[Stop, ...] = ()
    supernets: tuple[SuperNet, ...] = ()

    @property
    def steps(self) -> int:
        """Steps of the shared weights in all parts together."""
        return sum({each.part: each.steps for each in self.rounds}.values())

    @property
    def seconds(self) -> float:
        """Wall time of all parts, one after the other."""
        return sum({each.part: each.seconds for each in self.rounds}.values())

    @property
    def best_part(self) -> int:
        """Number of the supernet that made the best candidate."""
        finals = [each for each in self.growths if each.architectures[0] == self.best.architecture]
        return finals[-1].part

    def to_json(self) -> str:
        """Write candidates, rounds, growths and stops."""
        return json.dumps(
            {
                "candidates": [asdict(each) for each in self.candidates],
                "rounds": [asdict(each) for each in self.rounds],
                "growths": [asdict(each) for each in self.growths],
                "stops": self.stops,
            },
            indent=1,
        )


class GanSearchError(DivergenceError):
    """A search ended on values that are not finite, or on a collapsed generator.

    Attributes:
        history: what was found until then.
    """

    def __init__(self, message: str, history: GanHistory) -> None:
        super().__init__(message)
        self.history = history


@dataclass(frozen=True)
class PartResult:
    """What the search of one supernet gave; ``failure`` says why it ended early."""

    rounds: tuple[Round, ...]
    growths: tuple[Growth, ...]
    stop: Stop | None
    supernet: SuperNet
    stages: int
    failure: str = ""


def joined(results: Sequence[PartResult]) -> GanHistory:
    """Put the results of all parts one after the other."""
    candidates: list[Candidate] = []
    for result in results:
        for growth in result.growths:
            if growth.stage == result.stages:
                share = growth.seconds / len(growth.architectures)
                for architecture, score in zip(growth.architectures, growth.scores, strict=True):
                    candidates.append(Candidate(architecture, score, share, len(candidates)))
    return GanHistory(
        tuple(candidates),
        rounds=tuple(each for result in results for each in result.rounds),
        growths=tuple(each for result in results for each in result.growths),
        stops=tuple(result.stop for result in results if result.stop is not None),
        supernets=tuple(result.supernet for result in results),
    )


def round_from(row: dict[str, Any]) -> Round:
    """Read what ``asdict`` made of a round, its tuples perhaps lists."""
    best = None if row["best"] is None else tuple(row["best"])
    return Round(**{**row, "best": best})


def growth_from(row: dict[str, Any]) -> Growth:
    """Read what ``asdict`` made of a growth."""
    architectures = tuple(tuple(each) for each in row["architectures"])
    return Growth(**{**row, "architectures": architectures, "scores": tuple(row["scores"])})
