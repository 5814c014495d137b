"""What a report says: plain values, checked when they are made."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CandidatePoint:
    """One candidate of the search.

    Attributes:
        name: The architecture.
        score: Higher is better; not finite where it failed.
        parameters: Learnable values after folding.
        macs: Multiply-adds for one image after folding.
        chosen: Whether it is the one that was trained.
    """

    name: str
    score: float
    parameters: int
    macs: int
    chosen: bool


@dataclass(frozen=True)
class Curve:
    """One training, measured at some of its steps.

    Attributes:
        name: What the report calls it.
        steps: The steps at which it was measured.
        seconds: Training time that had passed at each.
        train_loss: Mean loss since the measurement before; may be nan.
        accuracy: Share of the validation images that are right, in [0, 1]; may be nan.

    Raises:
        ValueError: The columns are not equally long.
    """

    name: str
    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    train_loss: tuple[float, ...]
    accuracy: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {
            field: len(getattr(self, field))
            for field in ("steps", "seconds", "train_loss", "accuracy")
        }
        if len(set(lengths.values())) != 1:
            raise ValueError(
                f"curve {self.name!r} has lengths {lengths}; give one value per measured step, "
                "nan where nothing was measured"
            )


@dataclass(frozen=True, eq=False)
class Mistake:
    """A validation image that was given the wrong class.

    Attributes:
        image: uint8 ``(H, W, C)``, of one channel or three.
        truth: Its class.
        predicted: The class that it was given.
        confidence: Probability of that class, in [0, 1].

    Raises:
        ValueError: The image has another type or shape, or no pixels.
    """

    image: np.ndarray
    truth: str
    predicted: str
    confidence: float

    def __post_init__(self) -> None:
        shape = self.image.shape
        if self.image.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (1, 3):
            raise ValueError(
                f"a mistake's image is {self.image.dtype} of shape {shape}; it must be uint8 of "
                "shape (height, width, 1) or (height, width, 3)"
            )
        if 0 in shape:
            raise ValueError(f"a mistake's image of shape {shape} has no pixels; leave it out")


@dataclass(frozen=True)
class StageTime:
    """The time of a stage.

    Attributes:
        name: The stage.
        seconds: Seconds that it took.
        budget: Seconds that it was given; None without a budget of its own.
    """

    name: str
    seconds: float
    budget: float | None


@dataclass(frozen=True)
class Compared:
    """One row of the table that says what each part of a design is worth.

    Attributes:
        key: What the row stands for: ``"majority"``, ``"classic"``; ``"usual"`` and ``"ours"``, the
            recipes on a network designed by hand; ``"optimizer"``, ours with another optimizer;
            ``"short"``, the designed network in equal time; ``"stock"``, ResNet-18.
        name: The network or method.
        recipe: How it was trained, in a word.
        optimizer: What trained it.
        start: What its training started from.
        accuracy: Share of the validation images that are right, in [0, 1].
        mean_recall: Share of each class that was found, averaged over classes.
        seconds: Of wall time that it took.
        steps: Of its training; None where there are none.
    """

    key: str
    name: str
    recipe: str
    optimizer: str
    start: str
    accuracy: float
    mean_recall: float
    seconds: float
    steps: int | None


@dataclass(frozen=True)
class NetworkRow:
    """A trained network: how good it is, what it costs, and what its training took.

    Attributes:
        name: What the report calls it.
        accuracy: Share of the validation images that are right, in [0, 1].
        parameters: Learnable values after folding.
        macs: Multiply-adds for one image after folding.
        latency_ms: Milliseconds of a forward pass before folding; nan if not measured.
        folded_latency_ms: The same after folding; None where it was not folded.
        train_seconds: Time of the training, a search before it included.
        train_steps: Steps of the training.
        mean_recall: Share of each class that was found, averaged over classes; nan if not known.
    """

    name: str
    accuracy: float
    parameters: int
    macs: int
    latency_ms: float
    folded_latency_ms: float | None
    train_seconds: float
    train_steps: int
    mean_recall: float = math.nan


@dataclass(frozen=True, eq=False)
class ReportContents:
    """Everything a report shows.

    Attributes:
        title: Heading of the page.
        data_name: Name of the data.
        classes: Names of the classes.
        image_shape: ``(C, H, W)``.
        train_images: Number of training images.
        validation_images: Number of validation images.
        architecture: The architecture as a string in the notation of its space.
        cell_edges: (from node, to node, operation) of the cell's graph; empty without a cell.
        skeleton: The stages of the network in words, first to last.
        candidates: What was scored in the search.
        score_name: What the score is.
        curves: The trainings.
        confusion: Counts ``(classes, classes)``, rows the truth, columns the prediction.
        mistakes: Images that were given a wrong class.
        stages: The time of each stage.
        designed: The designed network.
        baseline: The hand-designed one, if there is one.
        settings: What was chosen about the run.
        environment: Machine and versions.
        notes: What the reader must know, such as skipped files or a shortened training.
        beginning: A sentence or two on the start of the training and its optimizer, or nothing.
        uneven: Whether classes are of uneven size, so that mean recall comes first.
        warning: What the reader must know before any figure, or nothing.
        compared: What each part of the design is worth, measured in equal time.
        worth: The same in sentences.

    Raises:
        ValueError: The confusion matrix is of another type or shape, or has negative counts.
    """

    title: str
    data_name: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    train_images: int
    validation_images: int
    architecture: str
    cell_edges: tuple[tuple[int, int, str], ...]
    skeleton: tuple[str, ...]
    candidates: tuple[CandidatePoint, ...]
    score_name: str
    curves: tuple[Curve, ...]
    confusion: np.ndarray
    mistakes: tuple[Mistake, ...]
    stages: tuple[StageTime, ...]
    designed: NetworkRow
    baseline: NetworkRow | None
    settings: dict[str, str]
    environment: dict[str, str]
    notes: tuple[str, ...]
    beginning: str = ""
    uneven: bool = False
    warning: str = ""
    compared: tuple[Compared, ...] = ()
    worth: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        expected = (len(self.classes), len(self.classes))
        if self.confusion.shape != expected or self.confusion.dtype.kind not in "iu":
            raise ValueError(
                f"the confusion matrix is {self.confusion.dtype} of shape {self.confusion.shape};"
                f" with {len(self.classes)} classes it must be whole numbers of shape {expected}"
            )
        if (self.confusion < 0).any():
            raise ValueError("the confusion matrix has negative counts; give counts of images")
