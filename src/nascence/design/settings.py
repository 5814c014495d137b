"""What a user can choose about a run, and how its time is divided."""

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

SAMPLE = "cifar10-sample"


class DesignSettings(BaseModel):
    """Everything that decides a run; kept in its folder as ``config.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = SAMPLE
    size: int | None = Field(default=None, ge=8, le=512, multiple_of=4)
    label_depth: int | None = Field(default=None, ge=1)
    budget: float = Field(default=300.0, gt=0, description="seconds for the whole run")
    max_params: int | None = Field(default=None, gt=0)
    max_latency_ms: float | None = Field(default=None, gt=0)
    classes: int | None = Field(default=None, ge=2, le=100_000)
    seed: int = Field(default=0, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int | None = Field(default=None, ge=1)
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
    opset: int | None = Field(default=None, ge=1, description="of the ONNX file")
    trials: int | None = Field(default=None, ge=1)
    steps: int | None = Field(default=None, ge=1)
    checkpoint_seconds: float = Field(default=20.0, ge=0)


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
