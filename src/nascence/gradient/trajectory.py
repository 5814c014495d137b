"""The course of a gradient search: the network that it would give after every epoch."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from nascence.search.history import Candidate, History
from nascence.spaces import Architecture
from nascence.training import DivergenceError

Stop = Literal["steps", "seconds", "skips"]


@dataclass(frozen=True)
class Epoch:
    """The state of a search at the end of one epoch.

    Attributes:
        sub_supernet: number of the supernet, 0 where there is one alone.
        architecture: the architecture that would be derived now.
        accuracy: accuracy of that network by the shared weights, on validation images, in [0, 1].
        entropy: of the probabilities of a decision's choices over its greatest value, the mean of
            the decisions that have two or more: 1 undecided, 0 decided.
        probabilities: for each decision of the choices that the supernet holds.
        loss: mean training cross-entropy of the epoch.
        steps: steps of the supernet's weights since the start of its search.
        seconds: wall time since the start of its search.
        latency: predicted milliseconds of the network, where the search knows latencies.
        objective: validation cross-entropy of the network with its latency, where latency counts;
            lower is better.
    """

    sub_supernet: int
    architecture: Architecture
    accuracy: float
    entropy: float
    probabilities: tuple[tuple[float, ...], ...]
    loss: float
    steps: int
    seconds: float
    latency: float | None = None
    objective: float | None = None


@dataclass(frozen=True)
class Trajectory(History):
    """A history of the networks derived after every epoch, one sub-supernet after the other.

    Their score is the accuracy by the shared weights.

    Attributes:
        epochs: all epochs, in the order of the candidates.
        stops: what ended the search of each sub-supernet.
    """

    epochs: tuple[Epoch, ...] = ()
    stops: tuple[Stop, ...] = ()

    @property
    def ends(self) -> tuple[Epoch, ...]:
        """The last epoch of each sub-supernet.

        Raises:
            ValueError: not one epoch was finished.
        """
        if not self.epochs:
            raise ValueError("the search finished no epoch; allow it more steps")
        return tuple({epoch.sub_supernet: epoch for epoch in self.epochs}.values())

    @property
    def derived(self) -> Epoch:
        """The result: the last epoch; of several sub-supernets, that of the most accurate network.

        Where latency counts, that with the least objective.

        Raises:
            ValueError: not one epoch was finished.
        """
        return max(
            self.ends,
            key=lambda epoch: epoch.accuracy if epoch.objective is None else -epoch.objective,
        )

    def derived_by(self, score: Callable[[Architecture], float]) -> Epoch:
        """The last epoch of the sub-supernet whose network scores highest; NaN ranks lowest.

        The accuracies of different supernets compare badly: see the ledger. Any evaluator will do.

        Raises:
            ValueError: not one epoch was finished.
        """
        scores = [score(epoch.architecture) for epoch in self.ends]
        ordered = [-math.inf if math.isnan(value) else value for value in scores]
        return self.ends[ordered.index(max(ordered))]

    @property
    def steps(self) -> int:
        """Steps of the weights in all sub-supernets together."""
        return sum({epoch.sub_supernet: epoch.steps for epoch in self.epochs}.values())

    @property
    def seconds(self) -> float:
        """Wall time of all sub-supernets, one after the other."""
        return sum({epoch.sub_supernet: epoch.seconds for epoch in self.epochs}.values())

    def to_json(self) -> str:
        """Write epochs and stops."""
        return json.dumps(
            {"epochs": [asdict(epoch) for epoch in self.epochs], "stops": self.stops}, indent=1
        )


class GradientSearchError(DivergenceError):
    """A search ended on values that are not finite.

    Attributes:
        history: what was found until then.
    """

    def __init__(self, message: str, history: Trajectory) -> None:
        super().__init__(message)
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.history), vars(self)  # notes, too


def trajectory(epochs: Sequence[Epoch], stops: Sequence[Stop] = ()) -> Trajectory:
    """Make a history of epochs, those of each sub-supernet in turn."""
    candidates, before = [], (-1, 0.0)
    for number, epoch in enumerate(epochs):
        start = before[1] if before[0] == epoch.sub_supernet else 0.0
        candidates.append(
            Candidate(epoch.architecture, epoch.accuracy, epoch.seconds - start, number)
        )
        before = (epoch.sub_supernet, epoch.seconds)
    return Trajectory(tuple(candidates), epochs=tuple(epochs), stops=tuple(stops))


def epoch_from(row: dict[str, Any]) -> Epoch:
    """Read what ``asdict`` made of an epoch, its tuples perhaps lists."""
    probabilities = tuple(tuple(vector) for vector in row["probabilities"])
    if "leaf" in row:  # as checkpoints of 0.1 have it
        row = {("sub_supernet" if name == "leaf" else name): each for name, each in row.items()}
    return Epoch(
        **{
            **row,
            "architecture": tuple(row["architecture"]),
            "probabilities": probabilities,
        }
    )
