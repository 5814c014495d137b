"""Meta-training: learn theta from many tasks by evolution strategies."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nascence.optim.checkpoint import save
from nascence.optim.contract import LearnedOptimizer
from nascence.optim.learned import Learned
from nascence.optim.meta.cohorts import Cohorts, LocalCohorts, Outcome, ProcessCohorts, Settings
from nascence.optim.meta.evolution import Method, Objective, check_form
from nascence.optim.native import compiled as compiled_form
from nascence.optim.theta import digest, fill_, flatten, unflatten
from nascence.params import CheckpointError, load_checkpoint, save_checkpoint, write_whole
from nascence.task import TaskFamily

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
WEIGHTS = "optimizer.safetensors"
# The weights that are saved are an average over about this many of the last outer steps.
AVERAGED = 100


class MetaTraining(NamedTuple):
    """What a meta-training gave: the optimizer with averaged weights, and how it came about."""

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
    """Meta-train ``optimizer``, in place of whose weights a copy is changed, on tasks of families.

    Every outer step, each of ``cohorts`` groups of ``pairs`` antithetic pairs of networks takes
    ``window`` inner steps, evolution strategies (`nascence.optim.meta.evolution`) give a gradient,
    which is cut elementwise at ``clip``, and Adam moves theta (Metz et al. 2020, appendix).
    Unrolls have log-uniform lengths from the first of ``lengths`` to a bound that grows over
    ``ramp`` outer steps to the second. The last share ``held_out`` of each family is not used.

    ``steps`` is the number of outer steps in all and ``seconds`` the length of this leg, one or
    both; a later call with the same ``out`` goes on where a leg ended, with the same outcome as if
    there had been one. ``out`` gets a checkpoint, a log of one JSON object for an outer step, and
    the weights with a card. The outcome does not depend on ``workers``, the number of processes.
    ``compiled`` takes the compiled step of the small optimizer.

    ``outer`` moves theta in the place of Adam at ``learning_rate``, which then has no effect: a
    learned optimizer can train another (Metz et al. 2020, section 5.5, self-training). It is told
    the mean outer loss of the window as the training loss.

    Raises ValueError for impossible settings, CheckpointError for the checkpoint of others, and
    OSError if ``compiled`` finds no compiler.
    """
    if steps is None and seconds is None:
        raise ValueError("neither steps nor seconds is given; give one or both")
    if min(cohorts, pairs, window, workers, measure_every) < 1 or not families:
        raise ValueError("cohorts, pairs, window, workers, measure_every and families: at least 1")
    if not 1 <= lengths[0] <= lengths[1] or not 0 <= held_out < 1 or not clip > 0:
        raise ValueError(
            f"lengths={lengths}, held_out={held_out}, clip={clip}; lengths ascend from at least 1, "
            "held_out is in [0, 1) and clip positive"
        )
    check_form(method, objective)
    settings = Settings(
        *(seed, pairs, window, lengths, ramp, method, objective, sigma),
        *(measure_every, known, held_out),
    )
    if compiled:
        optimizer = compiled_form(optimizer)
    run = _Run(optimizer, families, settings, cohorts, learning_rate, clip, out, outer)
    group = _cohorts(optimizer, families, settings, cohorts, workers)
    try:
        run.restore(group)
        run.go(group, steps, seconds, checkpoint_seconds, progress)
    finally:
        group.close()
    return run.result()


def _cohorts(
    optimizer: LearnedOptimizer,
    families: Sequence[TaskFamily],
    settings: Settings,
    cohorts: int,
    workers: int,
) -> Cohorts:
    if workers == 1:
        return LocalCohorts(optimizer, families, settings, range(cohorts))
    workers = min(workers, cohorts)
    return ProcessCohorts(optimizer, families, settings, cohorts=cohorts, workers=workers)


class _Run:
    """Theta, its Adam, and the record of a meta-training."""

    def __init__(
        self,
        optimizer: LearnedOptimizer,
        families: Sequence[TaskFamily],
        settings: Settings,
        cohorts: int,
        learning_rate: float,
        clip: float,
        out: Path,
        outer: LearnedOptimizer | None,
    ) -> None:
        import copy

        self.optimizer, self.out, self.clip = copy.deepcopy(optimizer), out, clip
        self.theta = flatten(optimizer).requires_grad_()
        self.average: Tensor = self.theta.detach().clone()
        # What moves theta: all of it as one tensor by Adam, or its tensors, in the same memory.
        self.parts: list[Tensor] = [self.theta]
        self.adam: torch.optim.Optimizer = torch.optim.Adam(self.parts, lr=learning_rate)
        if outer is not None:
            views = unflatten(optimizer, self.theta.detach())
            self.parts = [nn.Parameter(view) for view in views.values()]
            self.adam = Learned(self.parts, weights=outer)
        self.step = self.particle_steps = 0
        self.seconds = 0.0
        self.identity = {
            "optimizer": type(optimizer).__name__,
            **{key: str(value) for key, value in optimizer.settings.items()},
            **{key: str(value) for key, value in vars(settings).items()},
            "families": ", ".join(f"{family.name} ({len(family)})" for family in families),
            "cohorts": str(cohorts),
            "learning_rate": str(learning_rate),
            "clip": str(clip),
            "compiled": str(optimizer.compiled),
        }
        if outer is not None:
            self.identity["outer"] = f"{type(outer).__name__} {digest(outer)}"

    def go(
        self,
        cohorts: Cohorts,
        steps: int | None,
        seconds: float | None,
        checkpoint_seconds: float,
        progress: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        """Outer steps until there are ``steps``, or this leg has lasted ``seconds``."""
        begun = saved = time.perf_counter()
        before = self.seconds
        self.out.mkdir(parents=True, exist_ok=True)
        while steps is None or self.step < steps:
            outcomes = cohorts.advance(self.theta.detach().clone(), self.step)
            self.move(outcomes)
            now = time.perf_counter()
            self.seconds = before + now - begun
            line = self.line(outcomes)
            with (self.out / LOG).open("a") as log:
                log.write(json.dumps(line) + "\n")
            over = seconds is not None and now - begun >= seconds
            if over or self.step == steps or now - saved > checkpoint_seconds:
                self.save(cohorts)
                saved = time.perf_counter()
            if progress is not None:
                try:
                    progress(line)
                except KeyboardInterrupt:
                    self.save(cohorts)
                    raise
            if over:
                return

    def move(self, outcomes: list[Outcome]) -> None:
        """One step of Adam along the mean of the gradients, cut elementwise."""
        gradient = torch.stack([outcome.gradient for outcome in outcomes]).mean(0)
        gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        self.theta.grad = gradient.clamp(-self.clip, self.clip)
        if isinstance(self.adam, Learned):
            pieces = unflatten(self.optimizer, self.theta.grad)
            for part, piece in zip(self.parts, pieces.values(), strict=True):
                part.grad = piece
            self.adam.loss = sum(outcome.loss for outcome in outcomes) / len(outcomes)
        self.adam.step()
        self.step += 1
        self.particle_steps += sum(outcome.particle_steps for outcome in outcomes)
        decay = min((1 + self.step) / (10 + self.step), 1 - 1 / AVERAGED)
        self.average.lerp_(self.theta.detach(), 1 - decay)

    def line(self, outcomes: list[Outcome]) -> dict[str, Any]:
        """One line of the log."""
        gradient = self.theta.grad
        assert gradient is not None
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
        """Checkpoint and weights, each whole or not at all."""
        content = {
            "identity": self.identity,
            "theta": self.theta.detach(),
            "average": self.average,
            "adam": self.adam.state_dict(),
            "step": self.step,
            "particle_steps": self.particle_steps,
            "seconds": self.seconds,
            "cohorts": cohorts.state(),
        }
        save_checkpoint(self.out / CHECKPOINT, content)
        result = self.result()
        save(result.optimizer, self.out / WEIGHTS, card=self.card())

    def card(self) -> dict[str, Any]:
        """How the weights were trained, on what, at what cost."""
        return {
            **self.identity,
            "outer_steps": self.step,
            "particle_steps": self.particle_steps,
            "seconds": round(self.seconds),
        }

    def restore(self, cohorts: Cohorts) -> None:
        """Take up the checkpoint in the folder, if there is one."""
        path = self.out / CHECKPOINT
        if not path.exists():
            (self.out / LOG).unlink(missing_ok=True)
            return
        content = load_checkpoint(path)
        saved = content.get("identity", {})
        for key in {**self.identity, **saved}:
            if saved.get(key) != self.identity.get(key):
                raise CheckpointError(
                    f"{path} is of another meta-training: its {key} is {saved.get(key)!r}, not "
                    f"{self.identity.get(key)!r}; choose another folder or delete it"
                )
        with torch.no_grad():
            self.theta.copy_(content["theta"])
        self.average = content["average"]
        self.adam.load_state_dict(content["adam"])
        self.step, self.particle_steps = content["step"], content["particle_steps"]
        self.seconds = content["seconds"]
        cohorts.restore(content["cohorts"])
        log = self.out / LOG
        if log.exists():  # drop what came after the checkpoint
            lines = log.read_text().splitlines(keepends=True)
            write_whole(log, "".join(lines[: self.step]).encode())

    def result(self) -> MetaTraining:
        """The optimizer with the average of the last weights."""
        fill_(self.optimizer, self.average)
        return MetaTraining(self.optimizer, self.step, self.particle_steps, self.seconds)
