"""What one stage of a run leaves for the next in the folder of the run.

Seconds are wall time; an accuracy is the share of the validation images classified correctly, in
[0, 1]; parameters are learnable values, and MACs the multiply-adds for one image.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from nascence.report import CandidatePoint, Compared
from nascence.training import Measurement, Precision


@dataclass(frozen=True)
class FrontPoint:
    """A network that a search recommends for some accuracy, latency and size.

    ``accuracy`` is that of the search, on images held out of the training images; ``latency_ms``
    is predicted for one image on one thread, after folding, as are ``parameters``.
    """

    name: str
    accuracy: float
    latency_ms: float
    parameters: int
    chosen: bool

    def beats(self, other: "FrontPoint") -> bool:
        """Whether it is at least as good in everything, and better in something."""
        mine = (-self.accuracy, self.latency_ms, self.parameters)
        others = (-other.accuracy, other.latency_ms, other.parameters)
        return mine != others and all(a <= b for a, b in zip(mine, others, strict=True))


@dataclass(frozen=True)
class SearchResult:
    """The architecture that was chosen, as numbers, name and named decisions.

    ``candidates`` are all that were scored, the chosen one included; higher scores are better.
    ``notes`` are sentences that the reader of the report must know. ``front`` are networks for
    other latencies and sizes, the chosen one first. ``done`` is the share of the training that
    the search has done already.
    """

    seconds: float
    architecture: tuple[int, ...]
    name: str
    decisions: dict[str, Any]
    score: float
    candidates: tuple[CandidatePoint, ...]
    score_name: str = "binary-code score per image + ln(MACs)"
    notes: tuple[str, ...] = ()
    front: tuple[FrontPoint, ...] = ()
    done: float = 0.0


@dataclass(frozen=True)
class TrainingPlan:
    """The length of a training, and the arithmetic that is the fastest on this machine.

    Without ``steps`` the clock alone ends it; without ``seconds`` the number of steps does.
    """

    steps: int | None
    seconds: float | None
    precision: Precision = "auto"


@dataclass(frozen=True)
class PredictedStart:
    """The parameters that ``hypernetwork`` predicted for a training to start from.

    ``images`` training images gave the BatchNorm statistics and, with ``head``, a classifier
    fitted in closed form; ``accuracy`` is that before training.
    """

    hypernetwork: str
    images: int
    head: bool
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class TrainingResult:
    """A finished training, whose weights are in the folder; ``name`` is the report's word for it.

    Parameters and MACs are those before folding, ``seconds`` include the prediction of the start.
    ``mean_recall`` is that of the classes, nan in files of earlier versions, whose
    ``samples``, the images that all steps saw, are 0. The result of the
    baselines holds the figures of all of them as ``compared``, and in ``spec`` what
    :func:`nascence.design.network.load_baseline` builds.
    """

    steps: int
    seconds: float
    stopped_by: Literal["steps", "seconds"]
    accuracy: float
    parameters: int
    macs: int
    curve: tuple[Measurement, ...]
    planned_steps: int | None = None
    predicted: PredictedStart | None = None
    name: str = "designed"
    mean_recall: float = math.nan
    precision: Precision = "auto"
    samples: int = 0
    compared: tuple[Compared, ...] = ()
    spec: str = ""


@dataclass(frozen=True)
class DeployedCost:
    """Cost of a folded network; ``latency_ms``, for one image, is that before folding."""

    parameters: int
    macs: int
    latency_ms: float
    folded_latency_ms: float


@dataclass(frozen=True)
class FoldResult:
    """The accuracy of the folded network, and the cost of both networks."""

    seconds: float
    accuracy: float
    designed: DeployedCost
    baseline: DeployedCost | None = None
    mean_recall: float = math.nan


@dataclass(frozen=True)
class ExportResult:
    """How far the ONNX file agrees with torch; see :class:`nascence.export.Parity`."""

    seconds: float
    images: int
    same_top1: int
    relative_error: float


@dataclass(frozen=True)
class Results:
    """The results of every stage before the report."""

    search: SearchResult
    train: TrainingResult
    baseline: TrainingResult | None
    fold: FoldResult
    export: ExportResult
