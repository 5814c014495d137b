"""Meta-training of a learned optimizer as a job: one leg of a run, in a folder that resumes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from nascence.core import ranges
from nascence.jobs.job import Progress, Table, check_folder
from nascence.optim import create, load, meta_train
from nascence.tasks import chosen

WEIGHTS = "optimizer.safetensors"


@dataclass(frozen=True, kw_only=True)
class OptimizerTrainingJob:
    """What optimizer to meta-train, on what, how, and where to keep it.

    Attributes:
        out: Folder of the checkpoint, the log, and the weights with their card.
        architecture: ``"small"``, ``"hierarchical"`` or ``"feed-forward"``.
        families: Task families, with commas; see `nascence.tasks.chosen`.
        max_cost: Most multiply-adds a step of a task; None for no limit.
        steps: Outer steps of the whole run.
        seconds: Of this leg; None for no limit.
        workers: Processes; they change nothing but the time.
        cohorts, pairs, window, lengths, ramp, method, objective, sigma, learning_rate, compiled:
            As of `nascence.optim.meta_train`.
        start: Weights to start from; None for an untrained optimizer.
        outer: Weights of a learned optimizer that moves theta; None for Adam.
        seed: Of all randomness.
    """

    out: Path
    architecture: str = "small"
    families: str = "yardstick,quadratic"
    max_cost: Annotated[int | None, ranges.MULTIPLY_ADDS] = None
    steps: Annotated[int, ranges.STEPS] = 1000
    seconds: Annotated[float | None, ranges.SECONDS] = None
    workers: Annotated[int, ranges.PROCESSES] = 1
    cohorts: Annotated[int, ranges.COHORTS] = 4
    pairs: Annotated[int, ranges.PAIRS] = 64
    window: Annotated[int, ranges.LENGTH] = 50
    lengths: Annotated[tuple[int, int], ranges.LENGTH] = (100, 1000)
    ramp: Annotated[int, ranges.RAMP] = 500
    method: str = "single"
    objective: str = "sign"
    sigma: Annotated[float, ranges.RATE] = 0.01
    learning_rate: Annotated[float, ranges.RATE] = 3e-3
    start: str | None = None
    compiled: bool = False
    outer: str | None = None
    seed: Annotated[int, ranges.SEED] = 0

    def run(self, *, progress: Progress | None = None) -> "OptimizerTrainingOutcome":
        """Carry one leg out; see `nascence.jobs.job.Job`.

        Raises:
            CheckpointError: The folder holds another meta-training.
            ValueError: A name, or a setting that is out of its range.
        """
        check_folder(self.out)
        ranges.check_ranges(self)
        tasks = chosen(self.families, max_cost=self.max_cost)
        untrained = create(self.architecture) if self.start is None else load(self.start)
        teacher = None if self.outer is None else load(self.outer)
        result = meta_train(
            untrained,
            tasks,
            out=self.out,
            seed=self.seed,
            steps=self.steps,
            seconds=self.seconds,
            workers=self.workers,
            cohorts=self.cohorts,
            pairs=self.pairs,
            window=self.window,
            lengths=self.lengths,
            ramp=self.ramp,
            method=self.method,  # type: ignore[arg-type]  # checked there
            objective=self.objective,  # type: ignore[arg-type]
            sigma=self.sigma,
            learning_rate=self.learning_rate,
            compiled=self.compiled,
            outer=teacher,
            progress=None if progress is None else _Shown(progress, self.steps),
        )
        return OptimizerTrainingOutcome(
            self.out, self.steps, result.steps, result.particle_steps, result.seconds
        )


class _Shown:
    """Shows the last outer step."""

    def __init__(self, progress: Progress, steps: int) -> None:
        self.progress, self.steps = progress, steps

    def __call__(self, entry: dict[str, Any]) -> None:
        losses = [cohort["loss"] for cohort in entry["cohorts"]]
        rate = entry["particle_steps_per_second"]
        self.progress(
            "optimizer",
            entry["step"] / self.steps,
            f"loss {sum(losses) / len(losses):.3f} of the first, {rate:,} particle-steps/s",
        )


@dataclass(frozen=True)
class OptimizerTrainingOutcome:
    """What a leg came to.

    Attributes:
        out: Folder of the run.
        steps: Outer steps of the whole run.
        step: Outer steps that are done.
        particle_steps: Steps of all inner networks together.
        seconds: That all legs took.
    """

    out: Path
    steps: int
    step: int
    particle_steps: int
    seconds: float

    def facts(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        return {
            "step": self.step,
            "steps": self.steps,
            "finished": self.step >= self.steps,
            "particle_steps": self.particle_steps,
            "particle_steps_per_second": self.particle_steps / max(self.seconds, 1e-9),
            "seconds": self.seconds,
            "weights": str(self.out / WEIGHTS),
        }

    def summary(self) -> list[str | Table]:
        """Return the outcome in words."""
        facts = self.facts()
        state = "finished" if facts["finished"] else "the same command goes on"
        return [
            f"outer step {self.step:,} of {self.steps:,}, {state}",
            f"{self.particle_steps:,} particle-steps, "
            f"{facts['particle_steps_per_second']:,.0f} a second",
            f"wrote {facts['weights']}",
        ]
