"""Latencies that add up: of the fixed parts of a space's networks and of every choice."""

import hashlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from nascence.core.files import write_whole
from nascence.data.errors import DataError, MissingDataError
from nascence.spaces import Architecture, Choices, Decision, SearchSpace

FORMAT = "nascence latencies 1"
Form = Literal["additive", "multiplicative"]


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of one forward pass, which add up over the decisions of a space.

    Cai, Zhu and Han, "ProxylessNAS", ICLR 2019, section 3.3.1: the latency of a network is the sum
    of those of its operators.

    Attributes:
        space: description of the space that was measured.
        side: side of the images in pixels.
        batch: images of a forward pass.
        decisions: decisions of the space.
        fixed: milliseconds of what every network has.
        choices: for each decision the milliseconds of each choice, at all its places together.
    """

    space: str
    side: int
    batch: int
    decisions: tuple[Decision, ...]
    fixed: float
    choices: tuple[tuple[float, ...], ...]

    def of(self, architecture: Architecture) -> float:
        """Predicted milliseconds of a network: the sum."""
        return self.fixed + sum(
            row[index] for row, index in zip(self.choices, architecture, strict=True)
        )

    def expected(self, probabilities: Sequence[Tensor], held: Choices | None = None) -> Tensor:
        """Milliseconds to be expected where every decision is drawn on its own (eq. 5 to 7).

        Args:
            probabilities: of the choices held, ``(choices,)`` for each decision; the result,
                ``()``, is differentiable by them.
            held: the choices of each decision that the probabilities are of; None for all.
        """
        total = torch.tensor(self.fixed, device=probabilities[0].device)
        held = self._all() if held is None else held
        for row, indices, vector in zip(self.choices, held, probabilities, strict=True):
            total = total + vector @ vector.new_tensor([row[index] for index in indices])
        return total

    def even(self) -> float:
        """Milliseconds to be expected where all choices of a decision are equally likely."""
        return self.fixed + sum(sum(row) / len(row) for row in self.choices)

    @property
    def range(self) -> tuple[float, float]:
        """Sums of the least and of the greatest of every decision."""
        return self.fixed + sum(map(min, self.choices)), self.fixed + sum(map(max, self.choices))

    @property
    def fingerprint(self) -> str:
        """Twelve digits that tell tables apart."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """Write what :func:`read_latencies` reads; the numbers come back bit-equal."""
        operators = {
            decision.name: dict(zip(map(str, decision.choices), row, strict=True))
            for decision, row in zip(self.decisions, self.choices, strict=True)
        }
        content = {
            "format": FORMAT,
            "space": self.space,
            "side": self.side,
            "batch": self.batch,
            "unit": "milliseconds",
            "fixed": self.fixed,
            "operators": operators,
        }
        return json.dumps(content, indent=1)

    def save(self, path: Path) -> None:
        """Write the file whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, self.to_json().encode())

    def _all(self) -> Choices:
        return tuple(tuple(range(len(row))) for row in self.choices)


def read_latencies(path: Path, *, space: SearchSpace, side: int | None = None) -> LatencyTable:
    """Read a table of a space.

    Args:
        path: JSON that :meth:`LatencyTable.save` wrote.
        space: whose latencies are asked for.
        side: side of the images in pixels; None takes any.

    Raises:
        DataError: no such file, another space or side, or an operator that is missing, unknown or
            without a non-negative finite number; the message names it.
        MissingDataError: there is no file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingDataError(f"there is no file {path}; {_REMEDY}") from None
    except (ValueError, RecursionError):
        raise DataError(f"{path} is no JSON; {_REMEDY}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path} is no table of latencies ({FORMAT}); {_REMEDY}")
    if content.get("space") != space.description:
        raise DataError(
            f"{path} has latencies of {content.get('space')}, and this is "
            f"{space.description}; {_REMEDY}"
        )
    for key in ("side", "batch"):
        value = content.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise DataError(f"{path}: {key} is {value!r}; it must be a positive int")
    if side not in (None, content["side"]):
        raise DataError(
            f"{path} has latencies at images of {content['side']} pixels, and these have {side}; "
            f"{_REMEDY}"
        )
    operators = content.get("operators")
    if not isinstance(operators, dict):
        raise DataError(f"{path} has no operators; {_REMEDY}")
    fixed = _number(path, "the fixed part", content.get("fixed"))
    choices = tuple(_row(path, decision, operators) for decision in space.decisions)
    decisions = tuple(space.decisions)
    return LatencyTable(
        space.description, content["side"], content["batch"], decisions, fixed, choices
    )


_REMEDY = "write one with: nascence bench latency SPACE --out FILE"


def _row(path: Path, decision: Decision, operators: Mapping[str, Any]) -> tuple[float, ...]:
    row = operators.get(decision.name)
    if not isinstance(row, dict):
        raise DataError(f"{path} has no latencies of {decision.name}; {_REMEDY}")
    names = [str(choice) for choice in decision.choices]
    if unknown := [name for name in row if name not in names]:
        raise DataError(
            f"{path} has the operator {unknown[0]} of {decision.name}, which the space "
            f"has not; use {', '.join(names)}"
        )
    values = []
    for name in names:
        if name not in row:
            raise DataError(f"{path} lacks the operator {name} of {decision.name}; {_REMEDY}")
        values.append(_number(path, f"{name} of {decision.name}", row[name]))
    return tuple(values)


def _number(path: Path, what: str, value: object) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value < sys.float_info.max
    ):
        shown = repr(value)[:40]
        raise DataError(
            f"{path}: the latency of {what} is {shown}; it must be a finite number of "
            "milliseconds, zero or more"
        )
    return float(value)


@dataclass(frozen=True)
class LatencyTerm:
    """What latency adds to the loss of a search.

    ``"additive"``: ``loss + weight * (latency / reference - 1)``, the paper's
    ``loss + lambda * E[latency]`` (section 3.3.1) with lambda in units of the reference; it is the
    ``add#linear`` of the authors' code, where the weight is 0.2. ``"multiplicative"``:
    ``loss * (log latency / log reference) ** weight``, ``mul#log`` there, with the logarithms of
    milliseconds.

    Args:
        table: table of the space that is searched.
        weight: weight of the latency; 0 leaves the loss as it is.
        reference: milliseconds; None for those of the mean network of the space.
        form: see above.

    Raises:
        ValueError: a weight or a reference that is not positive, or a multiplicative form with
            latencies or a reference of 1 millisecond or less, whose logarithms are not positive.
    """

    table: LatencyTable
    weight: float = 0.2
    reference: float | None = None
    form: Form = "additive"

    def __post_init__(self) -> None:
        if self.form not in ("additive", "multiplicative"):
            raise ValueError(f"form is {self.form!r}; use 'additive' or 'multiplicative'")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"the weight of latency is {self.weight}; give 0 or more")
        if self.reference is not None and not 0 < self.reference < math.inf:
            raise ValueError(f"the reference latency is {self.reference} ms; give more than 0")
        least = min(self.table.range[0], self.milliseconds)
        if self.form == "multiplicative" and not least > 1:
            raise ValueError(
                f"the multiplicative form needs latencies and a reference above 1 ms, and the "
                f"least is {least:.4g} ms; use the additive form, or larger batches"
            )

    @property
    def milliseconds(self) -> float:
        """The reference."""
        return self.table.even() if self.reference is None else self.reference

    @property
    def description(self) -> str:
        """The settings in one line."""
        return (
            f"{self.form} latency, weight {self.weight}, reference {self.milliseconds:.6g} ms, "
            f"table {self.table.fingerprint}"
        )

    def of(self, loss: float, latency: float) -> float:
        """Combine two numbers, the loss without latency and milliseconds."""
        return self(torch.tensor(loss), torch.tensor(latency)).item()

    def __call__(self, loss: Tensor, latency: Tensor) -> Tensor:
        """Combine two scalars, the loss without latency and milliseconds."""
        if self.form == "additive":
            return loss + self.weight * (latency / self.milliseconds - 1)
        return loss * (latency.log() / math.log(self.milliseconds)) ** self.weight
