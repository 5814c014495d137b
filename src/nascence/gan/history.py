"""The course of a search for a generator."""

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
class GanRound:
    """Steps of the shared weights, and then of the controller.

    Attributes:
        sub_supernet: number of the sub-supernet, 0 where there is one alone.
        stage: how many cells there were.
        steps: steps of the shared weights since the start of its search.
        discriminator_loss, generator_loss: means over the round.
        reward: mean score of what the controller drew, None where it made no step.
        entropy: entropy of the controller's draws, mean over them, in nats.
        best: the best of what it drew: the decisions of these cells.
        resets: how often the shared weights had been drawn anew until then.
        seconds: wall time since the start of its search.
    """

    sub_supernet: int
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
        sub_supernet, stage: see :class:`GanRound`.
        architectures: the decisions of ``stage`` cells.
        scores: their scores with shared weights.
        seconds: time that all of them took.
    """

    sub_supernet: int
    stage: int
    architectures: tuple[Architecture, ...]
    scores: tuple[float, ...]
    kept: int
    seconds: float


@dataclass(frozen=True)
class GanHistory(History):
    """A history of the candidates at the end of the last stage, of one sub-supernet after another.

    Their score is that of the images they make with shared weights.

    Attributes:
        rounds, growths: of all sub-supernets, in order.
        stops: what ended the search of each sub-supernet.
        supernets: trained, in the order of the splits.
    """

    rounds: tuple[GanRound, ...] = ()
    growths: tuple[Growth, ...] = ()
    stops: tuple[Stop, ...] = ()
    supernets: tuple[SuperNet, ...] = ()

    @property
    def steps(self) -> int:
        """Steps of the shared weights in all sub-supernets together."""
        return sum({each.sub_supernet: each.steps for each in self.rounds}.values())

    @property
    def seconds(self) -> float:
        """Wall time of all sub-supernets, one after the other."""
        return sum({each.sub_supernet: each.seconds for each in self.rounds}.values())

    @property
    def best_sub_supernet(self) -> int:
        """Number of the supernet that made the best candidate."""
        finals = [each for each in self.growths if each.architectures[0] == self.best.architecture]
        return finals[-1].sub_supernet

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

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.history), vars(self)  # notes, too


@dataclass(frozen=True)
class GanSupernetResult:
    """What the search of one supernet gave; ``failure`` says why it ended early."""

    rounds: tuple[GanRound, ...]
    growths: tuple[Growth, ...]
    stop: Stop | None
    supernet: SuperNet
    stages: int
    failure: str = ""


def joined(results: Sequence[GanSupernetResult]) -> GanHistory:
    """Put the results of all sub-supernets one after the other."""
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


def round_from(row: dict[str, Any]) -> GanRound:
    """Read what ``asdict`` made of a round, its tuples perhaps lists."""
    best = None if row["best"] is None else tuple(row["best"])
    return GanRound(**{**_renamed(row), "best": best})


def growth_from(row: dict[str, Any]) -> Growth:
    """Read what ``asdict`` made of a growth."""
    architectures = tuple(tuple(each) for each in row["architectures"])
    return Growth(
        **{**_renamed(row), "architectures": architectures, "scores": tuple(row["scores"])}
    )


def _renamed(row: dict[str, Any]) -> dict[str, Any]:
    """Read a row of a checkpoint of 0.1, which calls a sub-supernet a part."""
    return {("sub_supernet" if name == "part" else name): each for name, each in row.items()}
