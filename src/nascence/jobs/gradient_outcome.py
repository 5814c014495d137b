"""What a gradient search found: facts, and the same in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nascence.gradient import Epoch, Trajectory
from nascence.jobs.job import Table
from nascence.spaces import SearchSpace

PRINTED = 10
"""Epochs of one supernet in the table, at most."""


@dataclass(frozen=True, kw_only=True)
class GradientOutcome:
    """What a gradient search found.

    Attributes:
        out: Folder of the history.
        strategy, split: Strategy and split of the job.
        space: The space that was searched.
        history: The network that each supernet came to after every epoch.
        derived: The result: the last epoch, of several sub-supernets the one that ``chosen_by``
            says.
        chosen_by: What compared the sub-supernets.
        truth: What the result reaches when trained alone, in percent, by data set; by the table.
        truths: The same for each epoch; empty where there is no table.
        latency_limit: Latency limit of the job, in milliseconds.
    """

    out: Path
    strategy: str
    split: tuple[str, ...]
    space: SearchSpace
    history: Trajectory
    derived: Epoch
    chosen_by: str
    truth: Mapping[str, float]
    truths: tuple[Mapping[str, float], ...]
    latency_limit: float | None = None

    def facts(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        history, derived = self.history, self.derived
        return {
            "run": str(self.out),
            "strategy": self.strategy,
            "split": list(self.split),
            "sub_supernets": len(history.stops),
            "stops": list(history.stops),
            "steps": history.steps,
            "seconds": round(history.seconds, 3),
            "best": {
                "architecture": self.space.format(derived.architecture),
                "sub_supernet": derived.sub_supernet,
                "chosen_by": self.chosen_by,
                "validation_accuracy": derived.accuracy,
                "true_accuracy": dict(self.truth) or None,
                "predicted_latency_ms": derived.latency,
                "latency_limit_ms": self.latency_limit,
            },
            "epochs": [
                {
                    "sub_supernet": epoch.sub_supernet,
                    "steps": epoch.steps,
                    "seconds": round(epoch.seconds, 3),
                    "entropy": epoch.entropy,
                    "loss": epoch.loss,
                    "validation_accuracy": epoch.accuracy,
                    "true_accuracy": dict(truth) or None,
                    "predicted_latency_ms": epoch.latency,
                    "architecture": self.space.format(epoch.architecture),
                    "probabilities": epoch.probabilities,
                }
                for epoch, truth in zip(history.epochs, self.truths, strict=True)
            ],
            "history": str(self.out / "history.json"),
        }

    def summary(self) -> list[str | Table]:
        """Return the path of the sub-supernet that gave the result, and then the network."""
        best, count = self.derived, len(self.history.stops)
        several = f", the best of {count} sub-supernets by {self.chosen_by}" if count > 1 else ""
        name = self.space.format(best.architecture)
        said: list[str | Table] = [
            self._path(),
            f"Derived after {self.history.steps} steps{several}: {name}",
            f"With shared weights it reaches {100 * best.accuracy:.1f} %.",
        ]
        if best.latency is not None:
            limit = self.latency_limit
            met = limit is None or best.latency <= limit
            above = "" if met else f", above the limit of {limit:g}"
            said.append(f"Predicted latency {best.latency:.4g} ms{above}.")
        if self.truth:
            reached = ", ".join(f"{value:.2f} % on {data}" for data, value in self.truth.items())
            said.append(f"Trained alone it reaches {reached} by the table.")
        return [*said, f"History {self.out / 'history.json'}"]

    def _path(self) -> Table:
        rows = [
            (epoch, truth)
            for epoch, truth in zip(self.history.epochs, self.truths, strict=True)
            if epoch.sub_supernet == self.derived.sub_supernet
        ]
        kept = sorted({round(k * (len(rows) - 1) / (PRINTED - 1)) for k in range(PRINTED)})
        return Table(
            "The network that would be derived, epoch by epoch",
            ("steps", "loss", "entropy", "accuracy", *self.truth),
            [
                (
                    str(epoch.steps),
                    f"{epoch.loss:.3f}",
                    f"{epoch.entropy:.3f}",
                    f"{epoch.accuracy:.3f}",
                    *(f"{truth[name]:.2f}" for name in self.truth),
                )
                for epoch, truth in (rows[place] for place in kept)
            ],
        )
