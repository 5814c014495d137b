"""What every long loop uses: a budget, a checkpoint, and a way to stop.

A loop looks like this::

    checkpoint = Checkpoint(path, {"seed": seed, "steps": steps})
    run.restored = checkpoint.resume(run.take)
    budget = Budget(steps=steps, seconds=seconds, step=run.step, elapsed=run.seconds)
    with checkpoint.kept(run.state, seconds=checkpoint_seconds) as stepped:
        while budget.left():
            run.advance(...)
            budget.count()
            stepped(ended=not budget.left(), report=...)
"""

import io
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from nascence.core.files import WriteError, write_whole


class CheckpointError(OSError):
    """A checkpoint cannot be written, read, or belongs to something else."""


class Budget:
    """How long a loop may take: a number of steps, a time, or both, whichever ends first.

    Attributes:
        step: Steps that were counted, with those of earlier legs.
        elapsed: Seconds up to the last reading of the clock, with those of earlier legs.

    Args:
        steps: Steps in all.
        seconds: Seconds of wall time in all.
        step: Steps of earlier legs.
        elapsed: Seconds of earlier legs; 0 where ``seconds`` is for this leg alone.

    Raises:
        ValueError: Neither is given, or one is not positive.
    """

    def __init__(
        self,
        *,
        steps: int | None = None,
        seconds: float | None = None,
        step: int = 0,
        elapsed: float = 0.0,
    ) -> None:
        if steps is None and seconds is None:
            raise ValueError("neither steps nor seconds is given; give one or both")
        if (steps is not None and steps < 1) or (seconds is not None and not seconds > 0):
            raise ValueError(f"steps={steps}, seconds={seconds}; what is given must be positive")
        self.steps, self.seconds = steps, seconds
        self.step, self.elapsed = step, elapsed
        self._begun = time.perf_counter() - elapsed
        self._before = self.fraction

    def count(self, steps: int = 1) -> None:
        """Count steps that were just taken, and read the clock."""
        self._before = self.fraction
        self.step += steps
        self.read_clock()

    def read_clock(self) -> None:
        """Count the time since the last step, such as that of a measurement."""
        self.elapsed = time.perf_counter() - self._begun

    @property
    def fraction(self) -> float:
        """The part of the budget that is spent, in [0, 1]: of steps or of time, the larger one."""
        by_steps = self.step / self.steps if self.steps else 0.0
        by_clock = self.elapsed / self.seconds if self.seconds else 0.0
        return min(max(by_steps, by_clock), 1.0)

    def left(self) -> bool:
        """Whether another step may be taken."""
        return self.fraction < 1

    def passed(self, parts: int) -> bool:
        """Whether the last steps completed one of ``parts`` equal parts, or the whole."""
        return not self.left() or int(self.fraction * parts) > int(self._before * parts)

    @property
    def stopped_by(self) -> Literal["steps", "seconds"]:
        """What ran out first."""
        return "steps" if self.step == self.steps else "seconds"


PATIENCE = 1.5
"""Seconds that a loop has, after Ctrl-C, to end its step."""


class Stepped(Protocol):
    """What a loop calls after every step, when its state is consistent and can be saved."""

    def __call__(self, *, ended: bool = False, report: Callable[[], object] | None = None) -> None:
        """Save if it is time to or the loop has ended; report; stop if Ctrl-C was pressed.

        Raises:
            KeyboardInterrupt: After a checkpoint, if Ctrl-C was pressed or ``report`` raises it.
        """


@contextmanager
def interruptible(save: Callable[[], None] | None, *, seconds: float = 20.0) -> Iterator[Stepped]:
    """Let Ctrl-C stop a loop between two steps, after a checkpoint, and a second one at once.

    Without ``save`` there is nothing to wait for, and Ctrl-C stops the loop at once. A handler
    of SIGINT that the program has set is left alone. A step that has not ended after
    ``PATIENCE`` seconds is broken off, and what was saved last stays.

    Args:
        save: Writes the state of the loop.
        seconds: Time between two checkpoints.
    """
    asked, saved = False, time.monotonic()
    timers: list[threading.Timer] = []

    def interrupt(*_: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        # A long step does not get the whole of it: as if Ctrl-C were pressed again.
        main = threading.main_thread().ident
        timer = threading.Timer(PATIENCE, signal.pthread_kill, (main, signal.SIGINT))
        timer.daemon = True
        timers.append(timer)
        timer.start()

    def stepped(*, ended: bool = False, report: Callable[[], object] | None = None) -> None:
        nonlocal saved
        due = save is not None and (ended or time.monotonic() - saved > seconds)
        if save is not None and due:
            save()
            saved = time.monotonic()
        try:
            if report is not None:
                report()
            if asked:
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            if save is not None and not due:
                save()
            raise

    waits = (
        save is not None
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if waits:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield stepped
    finally:
        for timer in timers:
            timer.cancel()
        if waits:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block; processes started inside never hear it."""
    heard = False

    def hear(*_: object) -> None:
        nonlocal heard
        heard = True

    resource_tracker.ensure_running()  # as it starts it lets SIGINT through again
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, hear) if main else None
    # Other threads may still get the signal; what a process that is started inherits is this mask.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if main:
            signal.signal(signal.SIGINT, handler)
        if heard:
            signal.raise_signal(signal.SIGINT)


class Checkpoint:
    """A file from which a loop continues, bound to the settings that it was made with.

    Args:
        path: The file; None for a loop that keeps nothing.
        identity: Settings, by name, that the loop must have been made with: plain values.
        of: What the loop is, for messages.
    """

    def __init__(
        self, path: Path | None, identity: Mapping[str, Any], *, of: str = "training"
    ) -> None:
        self.path, self.identity, self.of = path, dict(identity), of

    def save(self, state: dict[str, Any]) -> None:
        """Write tensors and plain values whole or not at all; nothing without a path.

        Raises:
            CheckpointError: The disk is full or the folder cannot be written.
        """
        if self.path is not None:
            save_checkpoint(self.path, {"identity": self.identity, "run": state})

    def load(self) -> dict[str, Any] | None:
        """Return what was saved, on the CPU; None if nothing was.

        Raises:
            CheckpointError: The file cannot be read, or is of a loop with another identity.
        """
        if self.path is None or not self.path.exists():
            return None
        content = load_checkpoint(self.path)
        known = content.get("identity", content)  # earlier versions had it beside the state
        names = [*self.identity, *(known if known is not content else ())]
        for name in names:
            if known.get(name) != self.identity.get(name):
                raise CheckpointError(
                    f"{self.path} is of another {self.of}: its {name} is {known.get(name)!r}, not "
                    f"{self.identity.get(name)!r}; choose another folder or delete it"
                )
        state: dict[str, Any] = content.get("run", content)
        return state

    def resume(self, take: Callable[[dict[str, Any]], None]) -> bool:
        """Let ``take`` read what was saved, and return whether there was anything.

        Raises:
            CheckpointError: As `load`, or ``take`` does not find what it looks for.
        """
        state = self.load()
        if state is None:
            return False
        try:
            take(state)
        except torch.OutOfMemoryError:
            raise
        except (
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            RuntimeError,
        ) as error:
            raise CheckpointError(
                f"{self.path} does not hold the state of this {self.of} ({_reason(error)}); "
                "delete it to start again"
            ) from error
        return True

    def kept(
        self, state: Callable[[], dict[str, Any]], *, seconds: float = 20.0
    ) -> AbstractContextManager[Stepped]:
        """Save ``state()`` every ``seconds`` while a loop runs; see `interruptible`."""
        if self.path is None:
            return interruptible(None)
        return interruptible(lambda: self.save(state()), seconds=seconds)


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values whole or not at all.

    Raises:
        CheckpointError: The disk is full or the folder cannot be written; an earlier checkpoint at
            ``path`` is then still there.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    try:
        write_whole(path, buffer.getbuffer())
    except WriteError as error:
        raise CheckpointError(str(error)) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, on the CPU, without unpickling anything but tensors.

    Raises:
        CheckpointError: The file is damaged or of another kind.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make the reader fail in any way
        raise CheckpointError(
            f"{path} is not a checkpoint that can be read ({_reason(error)}); "
            "delete it to start again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a checkpoint")
    return content


def _reason(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
