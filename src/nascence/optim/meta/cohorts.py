"""Cohorts: the unrolls that a meta-training keeps going, in this process or in several.

What a cohort does depends on its number and its window count alone, not on which process runs it,
so that a meta-training has one outcome for any number of processes.
"""

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nascence.core.randomness import stream
from nascence.optim.contract import LearnedOptimizer
from nascence.optim.meta.evolution import Method, Objective, Unroll, advance, start
from nascence.task import Stack, TaskFamily, stacks, training_tasks

# Tasks of a family that a process looks at; more would only take longer to start.
SAMPLED_TASKS = 512


@dataclass(frozen=True)
class UnrollSettings:
    """How unrolls are made; see `nascence.optim.meta_train`."""

    seed: int
    pairs: int
    window: int
    lengths: tuple[int, int]
    ramp: int
    method: Method
    objective: Objective
    sigma: float
    measure_every: int
    known: float
    held_out: float


class Outcome(NamedTuple):
    """What one cohort gave in one outer step."""

    gradient: Tensor
    loss: float
    diverged: float
    particle_steps: int
    family: str
    length: int
    position: int


def longest(settings: UnrollSettings, step: int) -> int:
    """The longest unroll at an outer step: from the shorter to the longer length, by a ramp."""
    low, high = settings.lengths
    done = min(step / settings.ramp, 1.0) if settings.ramp else 1.0
    return round(low * (high / low) ** done)


class LocalCohorts:
    """Cohorts of this process; ``numbers`` are theirs among all."""

    def __init__(
        self,
        optimizer: LearnedOptimizer,
        families: Sequence[TaskFamily],
        settings: UnrollSettings,
        numbers: Sequence[int],
    ) -> None:
        self.optimizer, self.settings, self.numbers = optimizer, settings, list(numbers)
        self.groups = [self._groups(family) for family in families]
        self.families = list(families)
        self.running: dict[int, tuple[Stack, Unroll, str, int]] = {}

    def _groups(self, family: TaskFamily) -> list[Stack]:
        """Tasks of a family by problem, the same in every process."""
        allowed = training_tasks(len(family), self.settings.held_out)
        generator = stream((self.settings.seed, 1))
        chosen = torch.randperm(allowed, generator=generator)[:SAMPLED_TASKS]
        return stacks(family.task(index) for index in sorted(chosen.tolist()))

    def advance(self, theta: Tensor, step: int) -> list[Outcome]:
        """Take one window of every cohort, in order, with theta ``(D,)`` at outer step ``step``."""
        return [self._advance(number, theta, step) for number in self.numbers]

    def _advance(self, number: int, theta: Tensor, step: int) -> Outcome:
        settings = self.settings
        if number not in self.running or self.running[number][1].done:
            self.running[number] = self._start(number, step)
        stack, unroll, family, started = self.running[number]
        generator = stream((settings.seed, 2, number, step))
        moved, estimate = advance(
            self.optimizer,
            theta,
            stack,
            unroll,
            window=settings.window,
            generator=generator,
            method=settings.method,
            objective=settings.objective,
            sigma=settings.sigma,
            measure_every=settings.measure_every,
        )
        self.running[number] = (stack, moved, family, started)
        return Outcome(*estimate, family, moved.length, moved.step)

    def _start(self, number: int, step: int) -> tuple[Stack, Unroll, str, int]:
        """A new unroll; everything about it follows from the cohort and the outer step."""
        stack, family = self._tasks(number, step)
        settings = self.settings
        generator = stream((settings.seed, 3, number, step))
        low, high = settings.lengths[0], longest(settings, step)
        drawn = low * (high / low) ** torch.rand((), generator=generator).item()
        length = math.ceil(drawn / settings.window) * settings.window
        unroll = start(
            self.optimizer, stack, length=length, generator=generator, known=settings.known
        )
        return stack, unroll, family, step

    def _tasks(self, number: int, step: int) -> tuple[Stack, str]:
        """Tasks of one problem, drawn with replacement, and the name of their family."""
        generator = stream((self.settings.seed, 4, number, step))
        which = int(torch.randint(len(self.families), (), generator=generator))
        groups = self.groups[which]
        sizes = torch.tensor([float(len(group)) for group in groups])
        group = groups[int(torch.multinomial(sizes, 1, generator=generator))]
        chosen = torch.randint(len(group), (self.settings.pairs,), generator=generator)
        constants = {name: value[chosen] for name, value in group.constants.items()}
        names = tuple(group.names[index] for index in chosen.tolist())
        return Stack(names, group.problem, constants), self.families[which].name

    def state(self) -> list[dict[str, Any]]:
        """Return the state of every cohort: tensors and plain values."""
        found = []
        for number in self.numbers:
            _, unroll, _, started = self.running[number]
            found.append({"number": number, "started": started, "unroll": asdict(unroll)})
        return found

    def restore(self, states: list[dict[str, Any]]) -> None:
        """Continue from what `state` returned."""
        for saved in states:
            if saved["number"] in self.numbers:
                stack, family = self._tasks(saved["number"], saved["started"])
                unroll = Unroll(**saved["unroll"])
                self.running[saved["number"]] = (stack, unroll, family, saved["started"])

    def close(self) -> None:
        """End the processes, of which there are none."""


class ProcessCohorts:
    """Cohorts spread over processes, number c on process ``c % workers``."""

    def __init__(
        self,
        optimizer: LearnedOptimizer,
        families: Sequence[TaskFamily],
        settings: UnrollSettings,
        *,
        cohorts: int,
        workers: int,
    ) -> None:
        context = get_context("spawn")
        self.connections: list[Connection] = []
        self.processes = []
        for worker in range(workers):
            ours, theirs = context.Pipe()
            numbers = range(worker, cohorts, workers)
            arguments = (theirs, optimizer, families, settings, numbers)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self.connections.append(ours)
            self.processes.append(process)

    def _ask(self, method: str, *arguments: Any) -> list[Any]:
        answers = []
        for connection in self.connections:
            # A message to a process that has ended is lost; its missing answer is noticed below.
            with suppress(BrokenPipeError):
                connection.send((method, arguments))
        for connection in self.connections:
            try:
                failed, answer = connection.recv()
            except (EOFError, ConnectionResetError):
                raise ChildProcessError(
                    "a process of the meta-training ended; it may have run out of memory. "
                    "Start again with fewer pairs; it continues from the last checkpoint"
                ) from None
            if failed:
                raise RuntimeError(f"a process of the meta-training failed: {answer}")
            answers.append(answer)
        return answers

    def advance(self, theta: Tensor, step: int) -> list[Outcome]:
        """Take one window of every cohort, in order, with theta ``(D,)`` at outer step ``step``."""
        answers = self._ask("advance", theta, step)
        count = sum(len(answer) for answer in answers)
        return [answers[c % len(answers)][c // len(answers)] for c in range(count)]

    def state(self) -> list[dict[str, Any]]:
        """Return the state of every cohort: tensors and plain values."""
        return [saved for answer in self._ask("state") for saved in answer]

    def restore(self, states: list[dict[str, Any]]) -> None:
        """Continue from what `state` returned."""
        self._ask("restore", states)

    def close(self) -> None:
        """Stop the processes, if there are any."""
        for connection in self.connections:
            connection.close()
        for process in self.processes:
            process.join(timeout=10)
            if process.is_alive():
                process.terminate()


def _serve(
    connection: Connection,
    optimizer: LearnedOptimizer,
    families: Sequence[TaskFamily],
    settings: UnrollSettings,
    numbers: Sequence[int],
) -> None:
    """Answer calls until the other end is closed."""
    torch.set_num_threads(1)
    torch.multiprocessing.set_sharing_strategy("file_system")
    cohorts = LocalCohorts(optimizer, families, settings, numbers)
    while True:
        try:
            method, arguments = connection.recv()
        except (EOFError, KeyboardInterrupt):
            os._exit(0)
        try:
            connection.send((False, getattr(cohorts, method)(*arguments)))
        except KeyboardInterrupt:
            os._exit(0)
        except Exception as error:
            connection.send((True, f"{type(error).__name__}: {error}"))


Cohorts = LocalCohorts | ProcessCohorts
