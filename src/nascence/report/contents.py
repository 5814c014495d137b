"""What a report says: plain values, checked when they are made."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CandidatePoint:
    """One candidate of the search: its score (higher is better, nan if it failed) and size."""

    name: str
    score: float
    parameters: int
    macs: int
    chosen: bool


@dataclass(frozen=True)
class Curve:
    """One training: loss and validation accuracy (0 to 1), measured at the same steps.

    ``seconds`` is the training time passed at each step. Any loss or accuracy may be nan.
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
    """A validation image (uint8, (H, W, C), C 1 or 3) that was given the wrong class."""

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
    """Seconds that a stage took, and the seconds it was given (None: no budget of its own)."""

    name: str
    seconds: float
    budget: float | None


@dataclass(frozen=True)
class NetworkRow:
    """A trained network: validation accuracy (0 to 1), cost, and what its training took.

    ``latency_ms`` is milliseconds of one forward pass before folding, ``folded_latency_ms``
    after it; None where the network was not folded, nan where a figure was not measured.
    """

    name: str
    accuracy: float
    parameters: int
    macs: int
    latency_ms: float
    folded_latency_ms: float | None
    train_seconds: float
    train_steps: int


@dataclass(frozen=True, eq=False)
class ReportContents:
    """Everything a report shows.

    image_shape: (channels, height, width). architecture: its string in the search space's
    notation. cell_edges: (from node, to node, operation) of the cell's graph; empty where the
    network has no cell. skeleton: the network's stages in words, first to last. confusion:
    counts of shape (classes, classes), rows the truth, columns the prediction. notes: what the
    reader must know, such as skipped files or a shortened training. beginning: a sentence or two
    on the start of the training and its optimizer; nothing is said where it is empty.
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

    def __post_init__(self) -> None:
        expected = (len(self.classes), len(self.classes))
        if self.confusion.shape != expected or self.confusion.dtype.kind not in "iu":
            raise ValueError(
                f"the confusion matrix is {self.confusion.dtype} of shape {self.confusion.shape};"
                f" with {len(self.classes)} classes it must be whole numbers of shape {expected}"
            )
        if (self.confusion < 0).any():
            raise ValueError("the confusion matrix has negative counts; give counts of images")
