"""What a person can choose about a run, and how its time is shared out."""

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

SAMPLE = "cifar10-sample"


class Settings(BaseModel):
    """Everything that decides a run; kept in its folder as ``config.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = SAMPLE
    size: int | None = Field(default=None, ge=8, le=512, multiple_of=4)
    budget: float = Field(default=300.0, gt=0, description="seconds for the whole run")
    max_params: int | None = Field(default=None, gt=0)
    max_latency_ms: float | None = Field(default=None, gt=0)
    classes: int | None = Field(default=None, ge=2)
    seed: int = Field(default=0, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int | None = Field(default=None, ge=1)
    family: Literal["cells", "mdeq"] = "cells"
    block: Literal["identity", "repvgg"] = "identity"
    start: Literal["random", "predicted"] = "random"
    optimizer: Literal["sgd", "adamw", "learned"] | None = Field(
        default=None, description="of the designed network; None is the family's own"
    )
    baseline: bool = True
    trials: int | None = Field(default=None, ge=1)
    steps: int | None = Field(default=None, ge=1)
    checkpoint_seconds: float = Field(default=20.0, ge=0)

    @field_validator("start")
    @classmethod
    def _can_be_predicted(cls, start: str, info: ValidationInfo) -> str:
        if start == "predicted" and info.data.get("family") == "mdeq":
            raise PydanticCustomError(
                "start", "no weights are predicted for --family mdeq; use --start random"
            )
        return start

    @field_validator("optimizer")
    @classmethod
    def _trains_the_family(cls, optimizer: str | None, info: ValidationInfo) -> str | None:
        if optimizer == "sgd" and info.data.get("family") == "mdeq":
            raise PydanticCustomError(
                "optimizer", "--family mdeq is trained with adamw or learned; use one of them"
            )
        return optimizer

    @property
    def trained_with(self) -> str:
        """The optimizer of the designed network: the one asked for, or the family's own."""
        return self.optimizer or ("adamw" if self.family == "mdeq" else "sgd")


class Shares(NamedTuple):
    """Seconds of the budget for each stage; ``baseline`` is 0 where none is asked for."""

    search: float
    train: float
    baseline: float
    fold: float
    export: float
    report: float


def share(budget: float, *, baseline: bool) -> Shares:
    """Share ``budget`` seconds out among the stages.

    The hand-designed baseline gets as long as search and training together. What comes after
    the training takes about as long whatever the budget, so its share is bounded.
    """
    after = min(0.08 * budget, 30.0)
    work = (budget - after) / (2 if baseline else 1)
    search = min(0.1 * work, 600.0)
    return Shares(search, work - search, work if baseline else 0.0, *(after / 3,) * 3)
