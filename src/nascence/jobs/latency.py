"""Measuring what every operator of a space takes on this machine, as a job."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch

from nascence.core import ranges
from nascence.core.randomness import seeded
from nascence.data import load
from nascence.jobs.job import Progress, Table, check_file
from nascence.jobs.names import space_named
from nascence.latency.measurement import measure_latencies, network_milliseconds
from nascence.latency.table import LatencyTable
from nascence.spaces import NetworkSpace


@dataclass(frozen=True, kw_only=True)
class LatencyJob:
    """The operators of which space to measure, how, and where to write the table.

    Attributes:
        out: File of the table, JSON; nothing else is kept.
        space: Name of a space whose costs add up.
        data: Images whose classes, channels and side the networks are for.
        sizes: Settings of the space, such as ``{"width": 8}``.
        batch_size: Images of a forward pass.
        networks: In which every operator is measured, at least.
        passes: Of every network.
        check: Random networks to measure beside their prediction; 0 for none.
        seed: Of the networks and images.
    """

    out: Path
    space: str
    data: str = "cifar10-sample"
    sizes: Mapping[str, Any] = field(default_factory=dict)
    batch_size: Annotated[int, ranges.BATCH] = 1
    networks: Annotated[int, ranges.NETWORKS] = 15
    passes: Annotated[int, ranges.PASSES] = 3
    check: Annotated[int, ranges.NETWORKS_OR_NONE] = 10
    seed: Annotated[int, ranges.SEED] = 0

    def run(self, *, progress: Progress | None = None) -> "LatencyOutcome":
        """Measure, write the table, and check it; see `nascence.jobs.job.Job`.

        Raises:
            ValueError: A space whose costs do not add up, or a setting out of its range.
        """
        check_file(self.out, "the table")
        ranges.check_ranges(self)
        images = load(self.data)
        space = space_named(self.space, data=images, sizes=self.sizes)
        generator = torch.Generator().manual_seed(self.seed)
        table = measure_latencies(
            space,
            side=images.image_shape[1],
            batch_size=self.batch_size,
            generator=generator,
            networks=self.networks,
            passes=self.passes,
            progress=progress and (lambda done: progress("latency", done, "")),
        )
        table.save(self.out)
        errors: list[float] = []
        if self.check:
            assert isinstance(space, NetworkSpace)  # as all whose operators are measured
            errors = _errors(table, space, self.check, generator)
        return LatencyOutcome(self.out, table, tuple(errors))


def _errors(
    table: LatencyTable, space: NetworkSpace, count: int, generator: torch.Generator
) -> list[float]:
    """Relative errors of the table's sums for fresh networks, measured now."""
    drawn = [space.sample(generator=generator) for _ in range(count)]
    side = table.side
    images = torch.randn(table.batch, space.in_channels, side, side, generator=generator)
    with seeded(None):
        times = network_milliseconds([space.build(each) for each in drawn], images)
    measured = [statistics.median(each) for each in times]
    predicted = [table.of(each) for each in drawn]
    return [abs(p / m - 1) for p, m in zip(predicted, measured, strict=True)]


@dataclass(frozen=True)
class LatencyOutcome:
    """What was measured.

    Attributes:
        out: File of the table.
        table: Milliseconds of every operator.
        errors: Relative ones of the table's sums for random networks; empty if not checked.
    """

    out: Path
    table: LatencyTable
    errors: tuple[float, ...]

    def facts(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        table, checked = self.table, None
        if self.errors:
            checked = {
                "networks": len(self.errors),
                "mean_error": statistics.mean(self.errors),
                "largest": max(self.errors),
            }
        return {
            "table": str(self.out),
            "space": table.space,
            "side": table.side,
            "batch": table.batch,
            "fixed_ms": table.fixed,
            "even_ms": table.even(),
            "least_ms": table.range[0],
            "greatest_ms": table.range[1],
            "checked": checked,
        }

    def summary(self) -> list[str | Table]:
        """Return the outcome in words."""
        facts = self.facts()
        words = [
            f"{facts['least_ms']:.3g} to {facts['greatest_ms']:.3g} ms for {facts['batch']} of "
            f"{facts['side']} pixels, of which {facts['fixed_ms']:.3g} are the fixed parts"
        ]
        if checked := facts["checked"]:
            words.append(
                f"{checked['networks']} random networks: {100 * checked['mean_error']:.1f} % from "
                f"their prediction in the mean, {100 * checked['largest']:.1f} % at most"
            )
            if checked["mean_error"] > 0.1:
                words.append(
                    "more than 10 %: measure again with more --passes, or on a quieter machine"
                )
        return [*words, f"wrote {self.out}"]
