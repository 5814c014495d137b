"""Kind 10, values that make no sense or that nothing can keep."""

import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.reliability.runs import data
from benchmarks.reliability.trying import LostError, Try, WrongError, command

SECONDS = 45.0
"""Within them a refusal has come, on a machine that does other work, too."""
DESIGN: dict[str, tuple[str, ...]] = {
    "--classes": ("0", "-1", "1", "999999999999", "2.5"),
    "--max-params": ("0", "-5", "1", "99999999999999999999"),
    "--max-latency-ms": ("0", "-1", "nan", "inf", "1e-9"),
    "--size": ("0", "-8", "1", "100000000"),
    "--budget": ("0", "-5m", "1e99h", "5 minutes", "", "nan", "0s"),
    "--trials": ("0", "-1", "2.5"),
    "--steps": ("0", "-3"),
    "--seed": ("-1", "99999999999999999999999"),
    "--checkpoint-seconds": ("-1", "nan", "inf"),
    "--workers": ("-1", "0"),
    "--device": ("cuda:99", "tpu", ""),
    "--family": ("", "mdeq2"),
    "--optimizer": ("nothing",),
}
SEARCH: dict[str, tuple[str, ...]] = {
    "--budget": ("0", "-1", "1e400", "5x"),
    "--width": ("0", "-4", "nan", "1e12"),
    "--cells": ("0", "-1", "1000000"),
    "--images": ("0", "-1", "999999999"),
    "--limit": ("macs", "macs=", "macs=nan", "macs=-1", "=3", "x=1", "macs=1e400", "parameters=1"),
    "--cost": ("nothing", ""),
    "--workers": ("0", "-3"),
    "--seed": ("-7", "1e9"),
}


def at_once(words: list[object]) -> None:
    """The command ends soon: well, or on one line that advises nothing that was not given."""
    began = time.monotonic()
    ended = command(*words)
    seconds = time.monotonic() - began
    said = ended.err.strip()
    if ended.code != 0 and "Usage:" not in said and len(said.splitlines()) != 1:
        raise WrongError(f"exit {ended.code} without a line: {said[:200]!r}")
    if seconds > SECONDS:
        raise LostError(f"took {seconds:.0f} s: {ended.last[:200]}")
    for option in ("--max-params", "--max-latency-ms"):
        if option in said and option not in words:
            raise WrongError(f"advice on {option}, which was not given: {said[:200]}")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    images = data(folder)
    design = ["design", images, "--no-baseline", "-q"]
    small = {"--size": "8", "--trials": "2", "--steps": "2"}
    for option, values in DESIGN.items():
        for value in rng.sample(values, min(3, len(values))):
            settings = {**small, option: value, "--out": folder / f"{option} {len(value)} {value}"}
            words = [*design, *(word for pair in settings.items() for word in pair)]
            yield Try(f"design {option} {value!r}", partial(at_once, words))
    for option, values in SEARCH.items():
        for value in rng.sample(values, min(3, len(values))):
            words = ["search", "small", "--evaluator", "naswot", "--data", images, "-q"]
            given = {"--budget": "3", "--images": "8", "--width": "4", option: value}
            given["--out"] = str(folder / f"search {option} {value}")
            words += [word for pair in given.items() for word in pair]
            yield Try(f"search {option} {value!r}", partial(at_once, words))
    for shape in (
        "",
        "0",
        "1,3",
        "-1,3,8,8",
        "1,3,8,8,8",
        "a,b",
        "1,3,99999999,99999999",
        "1,,8,8",
    ):
        yield Try(
            f"fold --shape {shape!r}",
            partial(at_once, ["fold", "resnet20", f"--shape={shape}"]),
        )
    for name in ("timm/nothing", "torchvision/nothing", "timm/", "torchvision/resnet18", "a.py:b",
                 "resnet20.py", "/", ".", "timm/resnet18"):  # fmt: skip
        yield Try(f"fold {name}", partial(at_once, ["fold", name, "--shape", "1,3,32,32"]))
