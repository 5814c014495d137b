"""A comparison of optimizers as a job: by name, in a folder of results from which it goes on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from nascence.core import ranges
from nascence.jobs.job import Progress, Table, check_folder
from nascence.optim.compare.comparison import compare, group_of
from nascence.optim.compare.contestants import NAMES, contestants, seen_families
from nascence.optim.compare.standings import Standing, standings
from nascence.report.optimizer_page import write_comparison
from nascence.tasks import chosen

PAGE = "report.html"
BATCHES = 5


@dataclass(frozen=True, kw_only=True)
class OptimizerComparisonJob:
    """Which optimizers to compare, on what, and where to keep the results.

    Attributes:
        out: Folder of the results and the page; what is in it is not run again.
        optimizers: Names of contestants; see `nascence.optim.compare.contestants`.
        weights: Of the learned ones: names of released weights, or files.
        families: Task families, with commas; see `nascence.tasks.chosen`.
        max_cost: Most multiply-adds a step of a task; None for no limit.
        tasks: Of each family.
        steps: Of each training.
        seeds: Repetitions from other starts.
        trials: Numbers of settings that tuned optimizers may try.
        seed: Of the first repetition.
    """

    out: Path
    optimizers: tuple[str, ...] = NAMES
    weights: tuple[str, ...] = ("optimizer-small",)
    families: str = "all"
    max_cost: Annotated[int | None, ranges.MULTIPLY_ADDS] = 700_000
    tasks: Annotated[int, ranges.TASKS] = 2
    steps: Annotated[int, ranges.STEPS] = 100
    seeds: Annotated[int, ranges.REPETITIONS] = 1
    trials: Annotated[tuple[int, ...], ranges.SETTINGS_TRIED] = (1, 10)
    seed: Annotated[int, ranges.SEED] = 0

    def run(self, *, progress: Progress | None = None) -> "OptimizerComparisonOutcome":
        """Run what is missing, and write the page; see `nascence.jobs.job.Job`."""
        check_folder(self.out)
        ranges.check_ranges(self)
        entrants = contestants(self.optimizers, weights=self.weights, trials=self.trials)
        families = chosen(self.families, max_cost=self.max_cost)
        held_out = seen_families(self.weights)
        results = compare(
            entrants,
            families,
            out=self.out,
            tasks=self.tasks,
            steps=self.steps,
            seeds=self.seeds,
            seed=self.seed,
            batches=BATCHES,
            progress=progress and (lambda done, what: progress("optimizers", done, what)),
        )
        known = {each.name: each for each in families}
        groups = {
            task: group_of(task, known[result.family], held_out)
            for result in results
            for task in result.tasks
        }
        outcome = OptimizerComparisonOutcome(
            self.out,
            {name: getattr(self, name) for name in ("tasks", "steps", "seeds", "seed")},
            tuple(each.name for each in families),
            held_out,
            groups,
            sum(result.seconds for result in results),
            tuple(standings(results, groups)),
        )
        write_comparison(outcome.standings, self.out / PAGE, facts=outcome.described())
        return outcome


@dataclass(frozen=True)
class OptimizerComparisonOutcome:
    """How the optimizers did.

    Attributes:
        out: Folder of the results and the page.
        settings: Numbers that the job was given.
        families: Names of the task families.
        seen: Families of the meta-training of the learned ones, with the share held out.
        groups: Of each task, whether meta-training has seen it.
        seconds: CPU time of all trainings.
        standings: Of all optimizers in all groups.
    """

    out: Path
    settings: dict[str, int]
    families: tuple[str, ...]
    seen: dict[str, float]
    groups: dict[str, str]
    seconds: float
    standings: tuple[Standing, ...]

    def described(self) -> tuple[str, ...]:
        """Return what was compared, in a few words each."""
        seeds = self.settings["seeds"]
        return (
            f"{len(self.groups)} tasks of {len(self.families)} families",
            f"{self.settings['steps']:,} steps",
            f"{seeds} repetitions" if seeds > 1 else "1 repetition",
            f"{self.seconds:,.0f} s of CPU time",
        )

    def facts(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        return {
            "settings": {**self.settings, "batches": BATCHES},
            "families": list(self.families),
            "seen": self.seen,
            "tasks": self.groups,
            "seconds": self.seconds,
            "standings": [{"label": each.label, **each._asdict()} for each in self.standings],
            "page": str(self.out / PAGE),
        }

    def summary(self) -> list[str | Table]:
        """Return the outcome in words, with a table for each group of tasks."""
        # In plain lines, as a name may be a path, which a table would fold.
        lines, width = [", ".join(self.described())], max(len(e.label) for e in self.standings)
        for group in dict.fromkeys(each.group for each in self.standings):
            lines += ["", f"{group:<{width}}    mean  median  diverged"]
            lines += [
                f"{each.label:<{width}}  {each.mean:6.3f}  {each.median:6.3f}  {each.diverged:7.1%}"
                for each in self.standings
                if each.group == group
            ]
        return [*lines, "", f"wrote {self.out / PAGE}"]
