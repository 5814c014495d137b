"""Meta-training: learn theta from many tasks by evolution strategies."""

import copy
import json
from collections.abc import Callable, Sequence
from functools import partial
from operator import index
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nascence.core.files import append_line, locked, write_whole
from nascence.core.resumable import Budget, Checkpoint, interruptible, interrupts_held
from nascence.optim.checkpoint import save
from nascence.optim.contract import LearnedOptimizer
from nascence.optim.learned import Learned
from nascence.optim.meta.cohorts import (
    Cohorts,
    LocalCohorts,
    Outcome,
    ProcessCohorts,
    UnrollSettings,
)
from nascence.optim.meta.evolution import Method, Objective, check_form
from nascence.optim.native import compiled as compiled_form
from nascence.optim.theta import digest, fill_, flatten, unflatten
from nascence.task import TaskFamily

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
WEIGHTS = "optimizer.safetensors"
# The weights that are saved are an average over about this many of the last outer steps.
AVERAGED = 100


class MetaTraining(NamedTuple):
    """The result of a meta-training: the optimizer with averaged weights, and what it cost.

    Attributes:
        optimizer: With the average of the last weights.
        steps: Outer steps, with those of earlier legs.
        particle_steps: Steps of all inner networks together.
        seconds: Wall time, with that of earlier legs.
    """

    optimizer: LearnedOptimizer
    steps: int
    particle_steps: int
    seconds: float


def meta_train(
    optimizer: LearnedOptimizer,
    families: Sequence[TaskFamily],
    *,
    out: Path,
    seed: int = 0,
    steps: int | None = None,
    seconds: float | None = None,
    workers: int = 1,
    cohorts: int = 4,
    pairs: int = 64,
    window: int = 50,
    lengths: tuple[int, int] = (100, 1000),
    ramp: int = 500,
    method: Method = "single",
    objective: Objective = "sign",
    sigma: float = 0.01,
    learning_rate: float = 3e-3,
    clip: float = 0.1,
    known: float = 0.5,
    measure_every: int = 10,
    held_out: float = 0.2,
    checkpoint_seconds: float = 60.0,
    compiled: bool = False,
    outer: LearnedOptimizer | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> MetaTraining:
    """Meta-train a copy of ``optimizer``; a later call with the same ``out`` goes on.

    Every outer step, each of ``cohorts`` groups of antithetic pairs of networks takes ``window``
    inner steps, evolution strategies (`nascence.optim.meta.evolution`) give a gradient, which is
    cut elementwise at ``clip``, and Adam moves theta (Metz et al. 2020, arXiv:2009.11243,
    appendix). The outcome depends neither on how it is cut into legs nor on ``workers``.

    Args:
        optimizer: Where to start.
        families: Tasks; a family that stands there twice is drawn twice as often.
        out: Folder of the run. It gets a checkpoint, a log of one JSON object for an outer step,
            and the weights with a card.
        seed: Seed of every random choice.
        steps: Outer steps in all.
        seconds: Length of this leg; this, ``steps`` or both must be given.
        workers: Processes.
        cohorts: Groups of networks that train side by side.
        pairs: Antithetic pairs of networks in a cohort.
        window: Inner steps for an outer step.
        lengths: Unrolls have log-uniform lengths from the first to a bound that grows to the
            second.
        ramp: Outer steps in which it grows.
        method: How perturbations are drawn.
        objective: What of the losses counts.
        sigma: Deviation of the perturbations of theta.
        learning_rate: Learning rate of the Adam that moves theta.
        clip: Largest magnitude of an entry of the gradient.
        known: Share of unrolls whose optimizer is told their length.
        measure_every: Inner steps between two measurements of the outer loss.
        held_out: The last share of each family, which is not used.
        checkpoint_seconds: Time between two checkpoints.
        compiled: Take the compiled step of the small optimizer.
        outer: A learned optimizer that moves theta in the place of Adam, whose learning rate then
            has no effect (Metz et al. 2020, section 5.5, self-training). It is told the mean outer
            loss of the window as the training loss.
        progress: Called after every outer step with its line of the log.

    Raises:
        ValueError: For impossible settings.
        CheckpointError: If ``out`` holds another meta-training.
        OSError: If ``out`` cannot be written or another process works there, or ``compiled`` finds
            no compiler.
    """
    if min(cohorts, pairs, window, workers, measure_every, len(families)) < 1:
        raise ValueError("cohorts, pairs, window, workers, measure_every and families: at least 1")
    if not 1 <= lengths[0] <= lengths[1] or not 0 <= held_out < 1 or not clip > 0:
        raise ValueError(
            f"lengths={lengths}, held_out={held_out}, clip={clip}; lengths ascend from at least 1, "
            "held_out is in [0, 1) and clip positive"
        )
    Budget(steps=steps, seconds=seconds)  # refuses what is impossible before anything is made
    check_form(method, objective)
    settings = UnrollSettings(
        seed, pairs, window, lengths, ramp, method, objective, sigma, measure_every, known, held_out
    )
    if compiled:
        optimizer = compiled_form(optimizer)
    extra = {"cohorts": cohorts, "learning_rate": learning_rate, "clip": clip}
    with locked(out):
        with interrupts_held():
            group = _cohorts(optimizer, families, settings, cohorts, workers)
        try:
            identity = _identity(optimizer, families, settings, extra, outer)
            run = _Run(optimizer, _Mover(optimizer, learning_rate, clip, outer), identity, out)
            run.restore(group)
            run.go(group, steps, seconds, checkpoint_seconds, progress)
        finally:
            group.close()
        return run.result()


def _identity(
    optimizer: LearnedOptimizer,
    families: Sequence[TaskFamily],
    settings: UnrollSettings,
    extra: dict[str, Any],
    outer: LearnedOptimizer | None,
) -> dict[str, str]:
    """The settings of a meta-training, as its checkpoint and its card record them."""
    named = {
        "optimizer": type(optimizer).__name__,
        **optimizer.settings,
        **vars(settings),
        "families": ", ".join(f"{family.name} ({len(family)})" for family in families),
        **extra,
        "compiled": optimizer.compiled,
    }
    if outer is not None:
        named["outer"] = f"{type(outer).__name__} {digest(outer)}"
    return {key: str(value) for key, value in named.items()}


def _cohorts(
    optimizer: LearnedOptimizer,
    families: Sequence[TaskFamily],
    settings: UnrollSettings,
    cohorts: int,
    workers: int,
) -> Cohorts:
    if workers == 1:
        return LocalCohorts(optimizer, families, settings, range(cohorts))
    workers = min(workers, cohorts)
    return ProcessCohorts(optimizer, families, settings, cohorts=cohorts, workers=workers)


class _Mover:
    """Theta ``(D,)``, its running average, and its optimizer: Adam or a learned one."""

    def __init__(
        self,
        optimizer: LearnedOptimizer,
        learning_rate: float,
        clip: float,
        outer: LearnedOptimizer | None,
    ) -> None:
        self.template, self.clip = optimizer, clip
        self.theta = flatten(optimizer).requires_grad_()
        self.average: Tensor = self.theta.detach().clone()
        # All of theta is one tensor to Adam, and its own tensors, in the same memory, to another.
        self.parts: list[Tensor] = [self.theta]
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(self.parts, lr=learning_rate)
        if outer is not None:
            views = unflatten(optimizer, self.theta.detach())
            self.parts = [nn.Parameter(view) for view in views.values()]
            self.optimizer = Learned(self.parts, weights=outer, together=False)

    def step(self, gradient: Tensor, loss: float, count: int) -> Tensor:
        """Take outer step ``count`` along a gradient, and return the clipped gradient."""
        gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        self.theta.grad = gradient.clamp(-self.clip, self.clip)
        if isinstance(self.optimizer, Learned):
            pieces = unflatten(self.template, self.theta.grad)
            for part, piece in zip(self.parts, pieces.values(), strict=True):
                part.grad = piece
            self.optimizer.loss = loss
        self.optimizer.step()
        decay = min((1 + count) / (10 + count), 1 - 1 / AVERAGED)
        self.average.lerp_(self.theta.detach(), 1 - decay)
        return self.theta.grad


class _Run:
    """The record of a meta-training and its files."""

    def __init__(
        self, optimizer: LearnedOptimizer, mover: _Mover, identity: dict[str, str], out: Path
    ) -> None:
        self.optimizer, self.mover = copy.deepcopy(optimizer), mover
        self.identity, self.out = identity, out
        self.checkpoint = Checkpoint(out / CHECKPOINT, identity, of="meta-training")
        self.step = self.particle_steps = 0
        self.seconds = 0.0

    def go(
        self,
        cohorts: Cohorts,
        steps: int | None,
        seconds: float | None,
        checkpoint_seconds: float,
        progress: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        """Take outer steps up to ``steps``, or until this leg has lasted ``seconds``."""
        budget = Budget(steps=steps, seconds=seconds, step=self.step)
        before = self.seconds
        with interruptible(lambda: self.save(cohorts), seconds=checkpoint_seconds) as stepped:
            while budget.left():
                outcomes = cohorts.advance(self.mover.theta.detach().clone(), self.step)
                gradient = self.move(outcomes)
                budget.count()
                self.seconds = before + budget.elapsed
                line = self.line(outcomes, gradient)
                append_line(self.out / LOG, json.dumps(line))
                report = None if progress is None else partial(progress, line)
                stepped(ended=not budget.left(), report=report)
        self.write_weights()  # a run that is done may have been killed before it wrote them

    def move(self, outcomes: list[Outcome]) -> Tensor:
        """Move theta along the mean of the gradients."""
        gradient = torch.stack([outcome.gradient for outcome in outcomes]).mean(0)
        loss = sum(outcome.loss for outcome in outcomes) / len(outcomes)
        self.step += 1
        self.particle_steps += sum(outcome.particle_steps for outcome in outcomes)
        return self.mover.step(gradient, loss, self.step)

    def line(self, outcomes: list[Outcome], gradient: Tensor) -> dict[str, Any]:
        """One line of the log."""
        return {
            "step": self.step,
            "seconds": round(self.seconds, 3),
            "particle_steps": self.particle_steps,
            "particle_steps_per_second": round(self.particle_steps / max(self.seconds, 1e-9)),
            "gradient_norm": gradient.norm().item(),
            "cohorts": [
                {**outcome._asdict(), "gradient": outcome.gradient.norm().item()}
                for outcome in outcomes
            ],
        }

    def save(self, cohorts: Cohorts) -> None:
        """Write checkpoint and weights, each atomically."""
        state = {
            "theta": self.mover.theta.detach(),
            "average": self.mover.average,
            "adam": self.mover.optimizer.state_dict(),
            "step": self.step,
            "particle_steps": self.particle_steps,
            "seconds": self.seconds,
            "cohorts": cohorts.state(),
        }
        self.checkpoint.save(state)
        self.write_weights()

    def write_weights(self) -> None:
        """Write the averaged weights, with a card of how they were trained and at what cost."""
        card = {
            **self.identity,
            "outer_steps": self.step,
            "particle_steps": self.particle_steps,
            "seconds": round(self.seconds),
        }
        save(self.result().optimizer, self.out / WEIGHTS, card=card)

    def restore(self, cohorts: Cohorts) -> None:
        """Resume from the checkpoint in the folder, if there is one."""

        def take(state: dict[str, Any]) -> None:
            with torch.no_grad():
                self.mover.theta.copy_(state["theta"])
                self.mover.average.copy_(state["average"])
            self.mover.optimizer.load_state_dict(state["adam"])
            self.step, self.particle_steps = index(state["step"]), index(state["particle_steps"])
            self.seconds = float(state["seconds"])
            cohorts.restore(state["cohorts"])

        log = self.out / LOG
        if not self.checkpoint.resume(take):
            log.unlink(missing_ok=True)
        elif log.exists():  # drop what came after the checkpoint
            lines = log.read_text().splitlines(keepends=True)
            write_whole(log, "".join(lines[: self.step]).encode())

    def result(self) -> MetaTraining:
        """The optimizer with the average of the last weights."""
        fill_(self.optimizer, self.mover.average)
        return MetaTraining(self.optimizer, self.step, self.particle_steps, self.seconds)
