"""What one stage of a run leaves for the next, as it stands in the folder of the run."""

from dataclasses import dataclass
from typing import Any, Literal

from nascence.report import CandidatePoint
from nascence.training import Measurement, Precision


@dataclass(frozen=True)
class SearchResult:
    """The architecture that was chosen, and all that were scored.

    Attributes:
        seconds: Time of the stage.
        architecture: The choice of every decision, by number.
        name: The architecture as results name it.
        decisions: The choice of every decision, by name.
        score: The score that it was chosen by; higher is better.
        candidates: Everything that was scored, the chosen one included.
        score_name: What the score is.
        notes: Sentences that the reader of the report must know.
    """

    seconds: float
    architecture: tuple[int, ...]
    name: str
    decisions: dict[str, Any]
    score: float
    candidates: tuple[CandidatePoint, ...]
    score_name: str = "binary-code score per image + ln(MACs)"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingPlan:
    """The length of a training, and the arithmetic that is the fastest on this machine.

    Attributes:
        steps: Steps of the training; None where the clock alone ends it.
        seconds: Seconds after which it ends in any case; None for a fixed number of steps.
        precision: What :func:`nascence.train` computes in.
    """

    steps: int | None
    seconds: float | None
    precision: Precision = "auto"


@dataclass(frozen=True)
class PredictedStart:
    """Where a training started from predicted parameters.

    Attributes:
        hypernetwork: Name of the released weights that predicted them.
        images: Training images behind the BatchNorm statistics and the classifier.
        head: Whether the classifier was fitted in closed form.
        accuracy: Share of the validation images classified correctly before training, in [0, 1].
        seconds: Time that the prediction took.
    """

    hypernetwork: str
    images: int
    head: bool
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class TrainingResult:
    """A finished training; its weights are in the folder.

    Attributes:
        steps: Steps that were taken.
        seconds: Time of the training, a prediction of its start included.
        stopped_by: Whether the number of steps or the clock ended it.
        accuracy: Share of the validation images classified correctly at the end, in [0, 1].
        parameters: Learnable values of the network as it was trained.
        macs: Its multiply-adds for one image.
        curve: The measurements on the way.
        planned_steps: Steps that were planned; None where the clock alone was to end it.
        predicted: Where it started, if from predicted parameters.
        name: What the report calls the network.
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


@dataclass(frozen=True)
class DeployedCost:
    """What a folded network costs.

    Attributes:
        parameters: Learnable values after folding.
        macs: Multiply-adds for one image after folding.
        latency_ms: Milliseconds for one image before folding.
        folded_latency_ms: The same after folding.
    """

    parameters: int
    macs: int
    latency_ms: float
    folded_latency_ms: float


@dataclass(frozen=True)
class FoldResult:
    """What folding gave.

    Attributes:
        seconds: Time of the stage.
        accuracy: Share of the validation images that the folded network classifies correctly.
        designed: Cost of the designed network.
        baseline: Cost of the hand-designed one, where there is one.
    """

    seconds: float
    accuracy: float
    designed: DeployedCost
    baseline: DeployedCost | None = None


@dataclass(frozen=True)
class ExportResult:
    """How far the ONNX file agrees with torch; see :class:`nascence.export.Parity`.

    Attributes:
        seconds: Time of the stage.
        images: Validation images that were compared.
        same_top1: How many of them both give the same class.
        relative_error: Largest difference of a logit, relative to the largest of its image.
    """

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
