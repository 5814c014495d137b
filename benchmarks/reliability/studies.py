"""Kind 12, studies: where they are, who joins them, and how many trials they have."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.reliability.runs import data, trials
from benchmarks.reliability.trying import Try, WrongError, command, refuses, succeeds

DATABASES = ("sqlite:///s.db", "sqlite:////s.db", "postgresql+psycopg://user:secret@host/db",
             "mysql://root:secret@host/db", "redis://host:6379/0", "https://host/x",
             "mssql+pyodbc://user:secret@dsn", "s3://bucket/x")  # fmt: skip


def database(place: Path, url: str) -> None:
    """An address is refused, and nothing of it, least of all a password, becomes a folder."""
    place.mkdir()
    ended = refuses("search", "nb201", "--budget", 3, "--out", url, "-q", folder=place)
    if any(place.iterdir()):
        raise WrongError(f"made {[each.name for each in place.iterdir()]}")
    if "secret" in ended.err:
        raise WrongError("the line has the password")


def counted(out: Path, budgets: list[int], strategy: str) -> None:
    """A study has as many trials as the last search asked for, the first ones unchanged."""
    before: list[str] = []
    for budget in budgets:
        succeeds("search", "nb201", "--strategy", strategy, "--budget", budget, "--out", out, "-q")
        after = trials(out)
        if len(after) != max(budget, len(before)):
            raise WrongError(f"{len(after)} trials, asked for {budget}")
        if after[: len(before)] != before:
            raise WrongError("earlier trials changed")
        before = after


def same_in_pieces(folder: Path, strategy: str, seed: int, cuts: list[int]) -> None:
    """A study in pieces is the one of one go."""
    common = ["search", "nb201", "--strategy", strategy, "--seed", seed, "-q"]
    for cut in cuts:
        succeeds(*common, "--budget", cut, "--out", folder / "pieces")
    succeeds(*common, "--budget", cuts[-1], "--out", folder / "whole")
    if trials(folder / "pieces") != trials(folder / "whole"):
        raise WrongError("a study in pieces is another")


def joined(folder: Path, evaluator: str, images: Path, seeds: list[int]) -> None:
    """Searches with other seeds join a shared study."""
    for number, seed in enumerate(seeds):
        succeeds(
            "search", "small", "--evaluator", evaluator, "--data", images, "--width", 4,
            "--images", 8, "--steps", 3, "--shared", "--seed", seed, "--budget", 4 + 3 * number,
            "--out", folder, "-q",
        )  # fmt: skip
    if len(trials(folder)) != 4 + 3 * (len(seeds) - 1):
        raise WrongError(f"{len(trials(folder))} trials")


def other_settings(folder: Path, first: list[object], second: list[object]) -> None:
    """A study of other settings is refused and stays as it was."""
    succeeds("search", *first, "--budget", 6, "--out", folder, "-q")
    before = (folder / "study.journal").read_bytes()
    ended = command("search", *second, "--budget", 12, "--out", folder, "-q")
    if ended.code == 0:
        raise WrongError("two searches are poured into one study")
    if (folder / "study.journal").read_bytes() != before:
        raise WrongError("the study was changed")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    images = data(folder)
    for number, url in enumerate(DATABASES):
        yield Try(f"--out {url}", partial(database, folder / f"d{number}", url))
    strategies = ("random", "evolution", "local-search", "crossover", "reinforce", "tpe", "lanas")
    for number, name in enumerate(rng.sample(strategies, 4)):
        budgets = [rng.randint(1, 20), rng.randint(20, 50), 10]
        yield Try(
            f"{name}, budgets {budgets}",
            partial(counted, folder / f"c{number}", budgets, name),
        )
    for number, name in enumerate(strategies):
        cuts = sorted(rng.sample(range(1, 60), 3))
        place = folder / f"p{number}"
        yield Try(
            f"{name} in pieces of {cuts}",
            partial(same_in_pieces, place, name, rng.randrange(99), cuts),
        )
    for number, evaluator in enumerate(("naswot", "macs+synflow", "train", "one-shot")):
        seeds = rng.sample(range(100), 3)
        yield Try(
            f"{evaluator} shared by seeds {seeds}",
            partial(joined, folder / f"j{number}", evaluator, images, seeds),
        )
    table: list[object] = ["nb201"]
    others: list[tuple[str, list[object], list[object]]] = [
        ("another strategy", table, [*table, "--strategy", "random"]),
        ("another seed", table, [*table, "--seed", 4]),
        ("another table", table, [*table, "--table", "cifar100"]),
        ("another space", table, ["nasbench-macro"]),
        ("a cost more", table, [*table, "--cost", "macs"]),
        ("a limit", table, [*table, "--limit", "macs=60e6"]),
    ]
    for number, (name, first, second) in enumerate(others):
        yield Try(
            f"a study with {name}",
            partial(other_settings, folder / f"o{number}", first, second),
        )
