"""Kind 3, two processes that want the same folder or file at the same time."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.reliability.runs import RUNS, data, result, trials, words
from benchmarks.reliability.trying import (
    Command,
    Ended,
    LostError,
    Try,
    WrongError,
    checked,
    succeeds,
)


def at_once(first: list[object], second: list[object], pause: float) -> list[Ended]:
    """Run two commands of which the second starts a moment later."""
    one = Command(*first)
    time.sleep(pause)
    other = Command(*second)
    return [checked(each.ended()) for each in (one, other)]


def both(name: str, folder: Path, pause: float, images: Path) -> None:
    """One works and the other is refused in a line, or both give what one alone gives."""
    wanted = words(name, folder / "both", images)
    endings = at_once(wanted, wanted, pause)
    codes = sorted(each.code for each in endings)
    if codes[0] != 0:
        raise LostError(f"exit {codes}: {endings[0].last[:150]} / {endings[1].last[:150]}")
    for each in endings:
        if each.code != 0 and len(each.err.strip().splitlines()) != 1:
            raise WrongError(f"refused in {each.err.strip()[:300]!r}")
    if name == "search":
        known = Counter(trials(folder / "both"))
        if sum(known.values()) != 150:
            raise WrongError(f"{sum(known.values())} trials of 150")
    if name != "design":
        succeeds(*wanted)
    alone = folder / "alone"
    succeeds(*words(name, alone, images))
    if result(folder / "both") != result(alone):
        raise WrongError("not what a process alone makes")


def same_file(command: list[object], path: Path, pause: float) -> None:
    """A file that two processes write is that of one of them."""
    endings = at_once(command, command, pause)
    if min(each.code for each in endings) != 0:
        raise LostError(f"neither wrote it: {endings[0].last[:200]}")
    from safetensors.torch import load_file

    load_file(path)
    left = [each.name for each in path.parent.iterdir() if each.name.endswith(".part")]
    if left:
        raise WrongError(f"left {left}")


def shared(folder: Path, seeds: tuple[int, ...], budget: int) -> None:
    """Searches that share a study finish with as many trials as were asked for, each once."""
    out = folder / "study"
    common = ["search", "nb201", "--shared", "--budget", budget, "--out", out, "-q"]
    jobs = [Command(*common, "--seed", seed) for seed in seeds]
    for job in jobs:
        ended = checked(job.ended())
        if ended.code != 0:
            raise LostError(f"exit {ended.code}: {ended.last[:300]}")
    known = trials(out)
    if len(known) != budget or len(set(known)) != budget:
        raise WrongError(f"{len(known)} trials, {len(set(known))} different, of {budget}")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    images = data(folder)
    for number, name in enumerate([*RUNS, "search", "design", "hypernetwork"]):
        yield Try(
            f"{name}, twice at once",
            partial(both, name, folder / str(number), rng.uniform(0, 0.4), images),
        )
    for number in range(3):
        path = folder / f"file{number}" / "weights.safetensors"
        path.parent.mkdir()
        command: list[object] = (
            ["fold", "resnet20", "--shape", "1,3,8,8", "--out", path]
            if number
            else [
                "predict",
                "resnet20",
                "--data",
                images,
                "--size",
                8,
                "--images",
                20,
                "--out",
                path,
            ]
        )
        yield Try(
            f"{command[0]} to one file, twice at once",
            partial(same_file, command, path, rng.uniform(0, 0.2)),
        )
    for number in range(4):
        seeds = tuple(rng.sample(range(100), 2 + number % 2))
        yield Try(
            f"--shared with seeds {seeds}",
            partial(shared, folder / f"shared{number}", seeds, rng.randint(40, 90)),
        )
