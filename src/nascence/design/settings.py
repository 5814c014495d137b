"""What a user can choose about a run, and how its time is divided."""

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nascence.core import ranges

SAMPLE = "cifar10-sample"


class DesignSettings(BaseModel):
    """Everything that decides a run; kept in its folder as ``config.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = SAMPLE
    size: Annotated[int | None, ranges.DESIGN_SIDE] = None
    label_depth: Annotated[int | None, ranges.LABEL_DEPTH] = None
    budget: Annotated[float, ranges.SECONDS] = 300.0  # seconds for the whole run
    max_params: Annotated[int | None, ranges.PARAMETERS] = None
    max_latency_ms: Annotated[float | None, ranges.MILLISECONDS] = None
    classes: Annotated[int | None, ranges.CLASSES] = None
    seed: Annotated[int, ranges.SEED] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: Annotated[int | None, ranges.PROCESSES] = None
    family: str = "stages"
    block: Literal["identity", "repvgg"] = "identity"
    architecture: str | None = Field(
        default=None, description="one line of the family's space; nothing is searched then"
    )
    pretrained: str | None = Field(default=None, description="NAME or NAME=FILE, of timm")
    teacher: str | None = Field(
        default=None, description="a run, its ONNX file, or NAME or NAME=FILE of timm"
    )
    start: Literal["random", "predicted"] = "random"
    optimizer: Literal["sgd", "adamw", "muon", "learned"] | None = Field(
        default=None, description="of the designed network; None is the family's own"
    )
    baseline: bool = True
    opset: Annotated[int | None, ranges.OPSET] = None  # of the ONNX file
    trials: Annotated[int | None, ranges.TRIALS] = None
    steps: Annotated[int | None, ranges.STEPS] = None
    checkpoint_seconds: Annotated[float, ranges.CHECKPOINT_SECONDS] = 20.0

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        ranges.check_ranges(self)
        return self


Settings = DesignSettings
"""The name that this setting had before."""


class Shares(NamedTuple):
    """Seconds of the budget for each stage; ``baseline`` is 0 where none is asked for."""

    search: float
    train: float
    baseline: float
    fold: float
    export: float
    report: float


AFTER = 4.0
"""Seconds that folding, exporting and reporting take on an idle machine at least."""
BASELINES = 0.28
"""Share of the budget that what is compared with the designed network gets: below a third."""


def share(budget: float, *, baseline: bool, spent: float = 0.0, slowness: float = 1.0) -> Shares:
    """Divide ``budget`` seconds among the stages.

    What follows the training takes about as long whatever the budget is, so its share is bounded.

    Args:
        budget: Seconds of the whole run.
        baseline: Whether there are baselines.
        spent: Seconds that reading the images and deciding on their size took.
        slowness: How much longer work takes than on an idle machine; more is then left for what
            follows the training.
    """
    after = min(max(0.08 * budget, AFTER * slowness), 30.0 * slowness, 0.4 * budget)
    after = min(after, max(budget - spent, 0.0))
    left = max(budget - after - spent, 0.0)
    others = min(BASELINES * budget, 0.4 * left) if baseline else 0.0
    search = min(0.15 * (left - others), 900.0)
    return Shares(search, left - others - search, others, *(after / 3,) * 3)
