"""Kind 8, names from outside that a console could take for markup or commands."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.reliability.trying import Try, WrongError, command, refuses, succeeds

NAMES = ("[bold]", "[/]", "[/red]", "[link=http://a]b[/link]", "[red", "]]", ":smile:", "{0}", "%s",
         "[@click=x]", "\x1b[31mred", "a\nb", "\u202eevil", "<b>", "&amp;", "[[", "\\[", "${HOME}",
         "'; x", '"', "\u200b", "[not bold]x[/not bold]", "[on blue]", "\t", "a|b")  # fmt: skip


def check_printed(text: str, name: str) -> None:
    """Check that what is shown has nothing that a terminal obeys."""
    if "\x1b[31m" in text or "\u202e" in text:
        raise WrongError(f"{name!r} reaches the terminal as it is")


def missing(words: list[object], name: str) -> None:
    """A refusal that names something says the name as it is."""
    ended = refuses(*words)
    check_printed(ended.err, name)
    # A table is named as DATA/ACCURACY, and a path has no slash within a name.
    plain = name if name.isprintable() and name.isascii() and "/" not in name else ""
    joined = "".join(ended.err.split())
    if plain and "Usage:" not in ended.err and "".join(plain.split()) not in joined:
        raise WrongError(f"the line leaves {name!r} out: {ended.err[:200]}")


def file_name(name: str) -> str:
    return name.replace("/", "\u2215")


def designed(folder: Path, names: list[str]) -> None:
    """A whole run of data and classes with such names, its tables and its page."""
    root = folder / file_name(f"data {names[0]}")
    rng = np.random.default_rng(0)
    for label, name in enumerate(names):
        (root / file_name(name)).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 90, (8, 8, 3), dtype=np.uint8) + np.uint8(50 * label)
            path = root / file_name(name) / file_name(f"{number}{names[-1]}.png")
            Image.fromarray(pixels).save(path, "png")
    out = folder / file_name(f"run {names[0]}")
    ended = succeeds(
        "design", root, "--size", 8, "--trials", 2, "--steps", 2, "--no-baseline", "--out", out
    )
    for name in names:
        check_printed(ended.out + ended.err, name)
    pages = list(out.rglob("*.html"))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        if "<b>" in names and "class <b>" in text:
            raise WrongError("a class name is markup in the page")
    again = command("resume", out)
    if again.code not in (0, 2):
        raise WrongError(f"resume ends with {again.code}: {again.last[:200]}")


def searched(folder: Path, name: str) -> None:
    """A study in a folder of such a name."""
    out = folder / file_name(name)
    ended = succeeds("search", "nb201", "--budget", 5, "--out", out)
    check_printed(ended.out + ended.err, name)
    if not (out / "study.journal").exists():
        raise WrongError(f"the study is not in {out.name!r}")


def folded(folder: Path, name: str) -> None:
    """A network in a file of such a name, written to another."""
    source = folder / file_name(f"{name}.py")
    source.write_text(
        "import torch\n"
        "def network():\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))\n"
    )
    out = folder / file_name(f"{name}.safetensors")
    ended = succeeds("fold", f"{source}:network", "--shape", "1,3,8,8", "--out", out)
    check_printed(ended.out + ended.err, name)
    if not out.exists():
        raise WrongError("the file is not there")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    for name in NAMES:
        words: list[list[object]] = [
            ["fold", name],
            ["predict", name],
            ["search", name],
            ["search", "nb201", "--strategy", name],
            ["search", "nb201", "--evaluator", name],
            ["search", "nb201", "--table", name],
            ["design", folder / file_name(f"none {name}"), "--trials", 2],
            ["resume", folder / file_name(f"none {name}")],
            ["meta-train", "optimizer", "--families", name, "--out", folder / "o"],
        ]
        for chosen in rng.sample(words, 2):
            yield Try(
                f"{' '.join(map(str, chosen[:-1]))[:40]} {name!r}",
                partial(missing, chosen, name),
            )
    for number, name in enumerate(rng.sample(NAMES, 4)):
        place = folder / f"s{number}"
        place.mkdir()
        yield Try(f"search --out {name!r}", partial(searched, place, name))
    for number, name in enumerate(rng.sample(NAMES, 4)):
        place = folder / f"f{number}"
        place.mkdir()
        yield Try(f"fold of {name!r}", partial(folded, place, name))
    for number in range(2):
        place = folder / f"d{number}"
        place.mkdir()
        names = [*rng.sample(sorted({*NAMES} - {"[/]"}), 3), "[/]"]
        yield Try(f"design of classes {names}", partial(designed, place, names))
