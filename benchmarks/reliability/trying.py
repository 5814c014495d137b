"""What a try is, and commands that run in a process of their own which can be killed or limited."""

import json
import os
import random
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nascence.cli import app  # here, so that no signal meets a child that still imports it

HELD, WRONG, LOST, TRACEBACK = "held", "silently wrong", "lost", "traceback"
VERDICTS = (HELD, WRONG, LOST, TRACEBACK)
LONGEST = 240.0
"""Seconds after which a command counts as one that hangs."""


class WrongError(Exception):
    """The product said that all went well, and what it gave is not right."""


class LostError(Exception):
    """Work or data is lost, or cannot go on."""


class Try(NamedTuple):
    """One try.

    Attributes:
        name: What is tried.
        run: Returns where the product holds, and raises where it does not.
    """

    name: str
    run: Callable[[], None]


Tries = Callable[[random.Random, Path], Iterator[Try]]
"""Makes the tries of a kind; the folder is empty and its own."""


class Verdict(NamedTuple):
    """How a try ended: one of `VERDICTS`, and in a line why it did not hold."""

    name: str
    verdict: str
    reason: str = ""


def judged(each: Try) -> Verdict:
    """Run a try. Whatever it raises beside our own errors is a traceback that a user would see."""
    try:
        each.run()
    except WrongError as error:
        return Verdict(each.name, WRONG, str(error))
    except LostError as error:
        return Verdict(each.name, LOST, str(error))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return Verdict(each.name, TRACEBACK, f"{type(error).__name__}: {error} ({where})")
    return Verdict(each.name, HELD)


def allowing(
    function: Callable[[], Any], *refusals: type[BaseException]
) -> tuple[Any, BaseException | None]:
    """Call a function that may refuse in one line.

    Args:
        function: What is called.
        refusals: Errors that are a refusal, by default ``ValueError`` and ``OSError``.

    Returns:
        What the function returned, and the refusal.

    Raises:
        WrongError: The refusal is more than a line or empty.
    """
    try:
        return function(), None
    except Exception as error:
        if not isinstance(error, refusals or (ValueError, OSError)):
            raise
        said = str(error)
        if not said.strip() or "\n" in said or len(said) > 1000:
            raise WrongError(f"the refusal is no line: {said[:200]!r}") from error
        return None, error


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of the error."""
        return (self.err.strip().splitlines() or [""])[-1]

    def as_json(self) -> Any:
        """What ``--json`` printed.

        Raises:
            WrongError: It is no JSON.
        """
        try:
            return json.loads(self.out)
        except json.JSONDecodeError as error:
            raise WrongError(f"--json printed {self.out[:100]!r}, {self.last[:200]}") from error


class Command:
    """A ``nascence`` command in a process that is forked off this one, which has torch loaded.

    Args:
        words: What stands behind ``nascence``.
        bytes_allowed: No file may grow beyond them, as on a full disk.
        folder: Where it runs.
    """

    def __init__(
        self, *words: object, bytes_allowed: int | None = None, folder: Path | None = None
    ) -> None:
        self.words = [str(word) for word in words]
        self._out, self._err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115  closed in ended
        self.pid = os.fork()
        if self.pid == 0:
            self._child(bytes_allowed, folder)
        self._status: int | None = None

    def _child(self, bytes_allowed: int | None, folder: Path | None) -> None:
        code = 1
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.dup2(self._out.fileno(), 1)
            os.dup2(self._err.fileno(), 2)
            if folder is not None:
                os.chdir(folder)
            if bytes_allowed is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_allowed, bytes_allowed))
            try:
                app(self.words)
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            import sys

            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def running(self) -> bool:
        """Whether it has not ended yet."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = status
        return self._status is None

    def after(self, seconds: float, number: int) -> bool:
        """Send a signal after some time, to its whole group as a terminal does.

        Returns:
            Whether it was still running.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.running():
            time.sleep(0.005)
        if not self.running():
            return False
        os.killpg(self.pid, number)
        return True

    def ended(self, seconds: float = LONGEST) -> Ended:
        """Wait for its end.

        Raises:
            LostError: It does not end.
        """
        end = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > end:
                os.killpg(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise LostError(f"still running after {seconds:.0f} s: {' '.join(self.words)}")
            time.sleep(0.01)
        assert self._status is not None
        texts = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
            file.close()
        return Ended(os.waitstatus_to_exitcode(self._status), *texts)


class TracebackError(Exception):
    """A command ended in a traceback."""


def command(*words: object, **settings: Any) -> Ended:
    """Run a command to its end.

    Raises:
        TracebackError: It printed a traceback.
    """
    return checked(Command(*words, **settings).ended())


def checked(ended: Ended) -> Ended:
    """Raise TracebackError where a command printed a traceback, or died of a signal not ours."""
    if "Traceback (most recent call last)" in ended.err:
        raise TracebackError(ended.last[:300])
    if ended.code in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGFPE):
        raise TracebackError(f"died of signal {-ended.code}")
    return ended


def succeeds(*words: object, **settings: Any) -> Ended:
    """Run a command that should work.

    Raises:
        LostError: It did not.
    """
    ended = command(*words, **settings)
    if ended.code != 0:
        raise LostError(f"exit {ended.code}: {ended.last[:300]}")
    return ended


def refuses(*words: object, saying: Sequence[str] = (), **settings: Any) -> Ended:
    """Run a command that should end on one line.

    Raises:
        WrongError: It did not refuse, or in more than a line, or without one of the words.
    """
    ended = command(*words, **settings)
    if ended.code == 0:
        raise WrongError(f"exit 0 for {' '.join(map(str, words))}: {ended.out[:100]!r}")
    said = ended.err.strip()
    if not said.startswith("nascence: ") and "Usage:" not in said:
        raise WrongError(f"exit {ended.code} without a line: {said[:200]!r}")
    if "Usage:" not in said and "\n" in said:
        raise WrongError(f"more than a line: {said[:300]!r}")
    for word in saying:
        if word.lower() not in said.lower():
            raise WrongError(f"the line does not say {word!r}: {said[:300]}")
    return ended
