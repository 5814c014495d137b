"""What a person can choose about a run, and how its time is shared out."""

import re
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

SAMPLE = "cifar10-sample"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


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


def parse_duration(text: str) -> float:
    """Seconds of "90", "90s", "10m", "1.5h", "1h30m" or "2d".

    Raises ValueError for anything else, and for nothing or less.
    """
    compact = text.strip().lower().replace(" ", "")
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(f"budget is {text!r}; give a time such as 90s, 10m, 1.5h or 1h30m")
    if len(parts) > 1 and any(not unit for _, unit in parts):
        raise ValueError(f"budget is {text!r}; every part needs a unit, such as 1h30m")
    seconds = sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)
    if seconds <= 0:
        raise ValueError(f"budget is {text!r}; it must be more than nothing, such as 10m")
    return seconds
