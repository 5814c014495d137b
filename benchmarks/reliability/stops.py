"""Kind 4, runs that are killed, meet a full disk or are interrupted, at random moments."""

import random
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.reliability.runs import RUNS, data, result, words
from benchmarks.reliability.trying import (
    Command,
    LostError,
    Try,
    WrongError,
    checked,
    command,
    succeeds,
)

INTERRUPTED = 130


class Undisturbed:
    """What runs make, and how long they take, where nothing stops them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = data(folder)
        self._known: dict[str, tuple[Any, float]] = {}

    def __call__(self, name: str) -> tuple[Any, float]:
        if name not in self._known:
            out = self.folder / "undisturbed" / name
            started = time.monotonic()
            succeeds(*words(name, out, self.images))
            self._known[name] = (result(out), time.monotonic() - started)
        return self._known[name]


def goes_on(name: str, out: Path, whole: Undisturbed) -> None:
    """The run goes on, and ends as what was never stopped."""
    started = name != "design" or (out / "config.yaml").exists()
    again = words(name, out, whole.images) if name != "design" or not started else ["resume", out]
    ended = checked(Command(*again).ended())
    if ended.code != 0:
        raise LostError(f"does not go on, exit {ended.code}: {ended.last[:300]}")
    if result(out) != whole(name)[0]:
        raise WrongError("ends unlike what was never stopped")
    left = [path.name for path in out.rglob("*.part")]
    if left:
        raise WrongError(f"left {left}")


def killed(name: str, out: Path, whole: Undisturbed, rng: random.Random) -> None:
    """Killed once or twice at moments within the time that the run takes."""
    seconds = whole(name)[1]
    for _ in range(rng.choice((1, 2))):
        design_goes_on = name == "design" and (out / "config.yaml").exists()
        job = Command(*(["resume", out] if design_goes_on else words(name, out, whole.images)))
        job.after(rng.uniform(0, seconds), signal.SIGKILL)
        job.ended()
    goes_on(name, out, whole)


def interrupted(name: str, out: Path, whole: Undisturbed, rng: random.Random) -> None:
    """Ctrl-C ends the run soon and in order; it goes on."""
    job = Command(*words(name, out, whole.images))
    # Before the command runs Ctrl-C is Python's own affair.
    late = 0.05 + rng.uniform(0, whole(name)[1])
    reached = job.after(late, signal.SIGINT)
    ended = checked(job.ended(60))
    if reached and ended.code not in (0, INTERRUPTED):
        raise WrongError(f"exit {ended.code} after Ctrl-C: {ended.last[:200]}")
    goes_on(name, out, whole)


def full(name: str, out: Path, whole: Undisturbed, allowed: int) -> None:
    """With a full disk the run ends on a line, and goes on when there is space."""
    ended = command(*words(name, out, whole.images), bytes_allowed=allowed)
    if ended.code != 0 and len(ended.err.strip().splitlines()) != 1:
        raise WrongError(f"not a line: {ended.err.strip()[:300]!r}")
    goes_on(name, out, whole)


def full_file(words_: list[object], path: Path, allowed: int) -> None:
    """A command that writes one file says that it cannot, and leaves nothing of it."""
    ended = command(*words_, bytes_allowed=allowed)
    if ended.code == 0:
        raise WrongError("exit 0 with a full disk")
    if len(ended.err.strip().splitlines()) != 1:
        raise WrongError(f"not a line: {ended.err.strip()[:300]!r}")
    if path.exists() or list(path.parent.glob("*.part")):
        raise WrongError("a part of the file is left")
    succeeds(*words_)


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    whole = Undisturbed(folder)
    names = [*RUNS]
    for number in range(24):
        name = names[number % len(names)]
        yield Try(f"{name}, killed", partial(killed, name, folder / f"k{number}", whole, rng))
    for number in range(18):
        name = names[number % len(names)]
        yield Try(f"{name}, Ctrl-C", partial(interrupted, name, folder / f"c{number}", whole, rng))
    for number in range(12):
        name = names[number % len(names)]
        allowed = int(10 ** rng.uniform(1, 5.5))
        yield Try(
            f"{name}, {allowed} bytes",
            partial(full, name, folder / f"f{number}", whole, allowed),
        )
    fold: list[object] = ["fold", "resnet20", "--shape", "1,3,8,8"]
    predict: list[object] = ["predict", "resnet20", "--data", whole.images]
    predict += ["--size", 8, "--images", 20]
    for number, (start, ending) in enumerate(
        [(fold, "--out"), (fold, "--onnx"), (predict, "--out")]
    ):
        suffix = "onnx" if ending == "--onnx" else "safetensors"
        path = folder / f"one{number}" / f"weights.{suffix}"
        path.parent.mkdir()
        allowed = rng.randint(10, 50_000)
        yield Try(
            f"{start[0]} {ending}, {allowed} bytes",
            partial(full_file, [*start, ending, path], path, allowed),
        )
