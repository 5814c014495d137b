"""What was given to ``nascence search``: each kind of search takes what it knows of it."""

import math
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Given:
    """The options of ``nascence search``; None, empty or False where one was not given.

    Attributes:
        folder: of the search.
        space, strategy, data: names.
        steps: of training.
        seed, workers: of every kind of search.
        trials, seconds: the budget as a number or as a time, neither where none was given.
        limits: name and largest value of costs.
        as_json, quiet: how to answer.
    """

    folder: Path
    space: str
    strategy: str
    data: str
    steps: int
    seed: int
    workers: int
    trials: int | None = None
    seconds: float | None = None
    evaluator: str = ""
    table: str = ""
    latencies: Path | None = None
    latency_weight: float | None = None
    costs: tuple[str, ...] = ()
    limits: tuple[tuple[str, float], ...] = ()
    width: float | None = None
    cells: int | None = None
    images: int | None = None
    split: tuple[str, ...] = ()
    stop_at_skips: int | None = None
    shared: bool = False
    as_json: bool = False
    quiet: bool = False

    @property
    def sizes(self) -> tuple[tuple[str, float], ...]:
        """Settings of the space, whole numbers as int."""
        given = (("width", self.width), ("cells", self.cells))
        return tuple(
            (name, int(value) if value == int(value) else value)
            for name, value in given
            if value is not None
        )

    def take(self, *names: str) -> None:
        """Raise ``ValueError`` for an option that was given and is not among ``names``.

        All take --data, --steps, --seed, --workers, --out and a time as --budget.
        """
        options = {
            "budget as a number": self.trials,
            "evaluator": self.evaluator,
            "table": self.table,
            "latencies": self.latencies,
            "latency-weight": self.latency_weight,
            "cost": self.costs,
            "limit": self.limits,
            "width": self.width,
            "cells": self.cells,
            "images": self.images,
            "split": self.split,
            "stop-at-skips": self.stop_at_skips,
            "shared": self.shared,
        }
        for name, value in options.items():
            missing = value is None or value is False or value in ("", ())
            if not missing and name not in names:
                known = ", ".join(f"--{each}" for each in names)
                raise ValueError(
                    f"--{name} is not for {self.strategy}, which takes --steps, a time as "
                    f"--budget, and {known}"
                )


def budget_of(text: str) -> tuple[int | None, float | None]:
    """Read architectures or seconds; neither from an empty text."""
    if not text:
        return None, None
    if re.fullmatch(r"\d+", text.strip()):
        if int(text) < 1:
            raise ValueError(f"--budget is {text!r}; give at least 1 architecture")
        return int(text), None
    from nascence.design.settings import parse_duration

    return None, parse_duration(text)


def limit_of(text: str) -> tuple[str, float]:
    """Read a cost and its largest value, as ``macs=60e6``."""
    name, _, most = text.partition("=")
    try:
        value = float(most)
    except ValueError:
        value = math.nan
    if not name or not value > 0:
        raise ValueError(f"--limit is {text!r}; give a cost and a positive number: macs=60e6")
    return name, value


def decisions_of(text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    names = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(names):
        raise ValueError(f"--split is {text!r}; give decisions as edge_0_1,edge_0_2")
    return names
