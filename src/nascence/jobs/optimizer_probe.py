"""Where optimizers stop in a flat valley, as a job that draws it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from nascence.core import ranges
from nascence.jobs.job import Progress, Table, check_folder
from nascence.optim.compare.contestants import NAMES, contestants
from nascence.optim.compare.probe import Probe, probe
from nascence.report.optimizer_page import probe_rows, write_probe

PAGE = "probe.html"


@dataclass(frozen=True, kw_only=True)
class OptimizerProbeJob:
    """Which optimizers go down the valley, and where to draw it.

    Attributes:
        out: Folder of the page.
        optimizers: Names of contestants; those with several settings are left out.
        weights: Of the learned ones: names of released weights, or files.
        steps: Of each optimizer.
        trials: Numbers of settings that tuned optimizers may try.
    """

    out: Path
    optimizers: tuple[str, ...] = NAMES
    weights: tuple[str, ...] = ("optimizer-small",)
    steps: Annotated[int, ranges.STEPS] = 2000
    trials: Annotated[tuple[int, ...], ranges.SETTINGS_TRIED] = (1, 10)

    def run(self, *, progress: Progress | None = None) -> "OptimizerProbeOutcome":
        """Go down the valley with each, and draw the page; see `nascence.jobs.job.Job`.

        Raises:
            ValueError: A name, or no optimizer of one setting among them.
        """
        check_folder(self.out)
        ranges.check_ranges(self)
        entrants = contestants(self.optimizers, weights=self.weights, trials=self.trials)
        single = [each for each in entrants if each.theta is None]
        if not single:
            raise ValueError(
                "--probe draws optimizers of one setting; name learned, untrained, adam or nadamw"
            )
        probes = {each.name: probe(each.optimizer, steps=self.steps) for each in single}
        self.out.mkdir(parents=True, exist_ok=True)
        write_probe(probes, self.out / PAGE, facts=(f"{self.steps:,} steps",))
        return OptimizerProbeOutcome(self.out, self.steps, probes)


@dataclass(frozen=True)
class OptimizerProbeOutcome:
    """Where the optimizers stopped.

    Attributes:
        out: Folder of the page.
        steps: Of each optimizer.
        probes: Trajectories, by the optimizer's name.
    """

    out: Path
    steps: int
    probes: dict[str, Probe]

    def facts(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        return {
            "steps": self.steps,
            "optimizers": {
                name: {
                    "distance": each.distance.mean().item(),
                    "along": each.along.nanmean().item(),
                    "ends": each.trajectories[:, -1].tolist(),
                }
                for name, each in self.probes.items()
            },
            "page": str(self.out / PAGE),
        }

    def summary(self) -> list[str | Table]:
        """Return the outcome in words."""
        words = [
            f"{name}: {distance} from the valley, {along} of the way out along it"
            for name, distance, along in probe_rows(self.probes)
        ]
        return [*words, f"wrote {self.out / PAGE}"]
