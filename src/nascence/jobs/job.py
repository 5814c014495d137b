"""What every job is: options by name, a folder, `run`, and an outcome with plain facts."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol, runtime_checkable

from nascence import registry
from nascence.core import ranges
from nascence.jobs.presets import preset_named

Progress = Callable[[str, float, str], None]
"""Called with a stage, the part of it that is done, in [0, 1], and a message."""


class Table(NamedTuple):
    """Rows of text under headings; all columns but the first are numbers."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@runtime_checkable
class Outcome(Protocol):
    """What a job found."""

    def facts(self) -> dict[str, Any]:
        """Return the outcome as plain values, as JSON has them."""

    def summary(self) -> list[str | Table]:
        """Return the outcome in words, and in tables."""


@runtime_checkable
class Job(Protocol):
    """Work with options, kept in a folder from which it continues after an interruption."""

    @property
    def out(self) -> Path:
        """The folder, or the file of a job that writes one and keeps nothing else."""

    def run(self, *, progress: Progress | None = None) -> Outcome:
        """Start or continue the work.

        Args:
            progress: Called as the work goes on. If it raises KeyboardInterrupt, the job ends
                after a checkpoint.

        Raises:
            ValueError: A name, option or file that cannot be used.
            ArithmeticError: Values that are not finite.
            OSError: A file that cannot be written, or another process at work in the folder.
        """


@dataclass(frozen=True, kw_only=True)
class NamedJob:
    """What every search by name is told.

    Attributes:
        out: Folder of the checkpoints and of what is found.
        space, strategy: Names; see `nascence.registry`.
        data: Images for whatever builds networks.
        size: Side in pixels that they are brought to, as :func:`nascence.data.load` does.
        sizes: Settings of the space, such as ``{"width": 8}``.
        settings: Settings of the strategy, such as ``{"population": 50}``.
        steps: Steps of every training; those of a supernet are shared by its sub-supernets.
        seconds: Time for all evaluations or trainings together; None for no limit.
        workers: Processes at work at once.
        seed: Seed of all random choices.

    Raises:
        ValueError: The folder is a file or the address of a database, or a number is not in its
            range.
    """

    out: Path
    space: str
    strategy: str
    data: str = "cifar10-sample"
    size: Annotated[int | None, ranges.SIDE] = None
    sizes: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: Annotated[int, ranges.STEPS] = 500
    seconds: Annotated[float | None, ranges.SECONDS] = None
    workers: Annotated[int, ranges.PROCESSES] = 1
    seed: Annotated[int, ranges.SEED] = 0

    def __post_init__(self) -> None:
        check_folder(self.out)
        ranges.check_ranges(self)


JOBS: Mapping[str, str] = {
    "strategy": "nascence.jobs.search:SearchJob",
    "gradient strategy": "nascence.jobs.gradient:GradientJob",
    "once-for-all strategy": "nascence.jobs.once_for_all:OnceForAllJob",
    "gan strategy": "nascence.jobs.gan:GanJob",
}
"""The kind of job that each kind of strategy has."""
FLAGS = {"trials": "budget as a number", "seconds": "budget as a time", "settings": "setting"}
FLAGS |= {"costs": "cost", "limits": "limit", "sizes": "width and --cells"}
"""Options that have another name on the command line."""
EVERYWHERE = {"out", "space", "strategy", "data", "size", "steps", "seconds", "seed", "workers"}


def make_job(*, preset: str = "", **options: Any) -> Job:
    """Make the job that the strategy asks for.

    Args:
        preset: A published recipe, see `nascence.jobs.presets`; given options take precedence.
        options: Fields of the job, such as ``out``, ``space`` and ``strategy``.

    Raises:
        ValueError: An unknown preset or strategy, or an option that this kind of job does not
            take.
    """
    if preset:
        options = _joined(preset_named(preset).options, options)
    if "space" not in options:
        raise ValueError(
            f"the space is missing; use one of {', '.join(registry.names('space', 'table'))}"
        )
    strategy = options.get("strategy", "evolution")
    kind = registry.find(strategy, *registry.STRATEGIES, called="strategy").kind
    if options["space"] == "gan" and kind != "gan strategy":
        names = ", ".join(registry.names("gan strategy"))
        raise ValueError(f"the space gan is searched by --strategy {names}, not by {strategy}")
    job = registry.Entry("job", kind, JOBS[kind], "").load()
    fields = [each.name for each in dataclasses.fields(job) if each.init and each.repr]
    for name in options:
        if name not in fields:
            taken = ", ".join(f"--{_flag(each)}" for each in fields if each not in EVERYWHERE)
            raise ValueError(
                f"--{_flag(name)} is not for {strategy}, which takes --steps, a time as --budget, "
                f"and {taken}"
            )
    made: Job = job(**options)
    return made


def _joined(published: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the published options with given ones in their place; mappings are merged."""
    if "seconds" in given:  # a time in place of the published number
        published = {name: value for name, value in published.items() if name != "trials"}
    joined = {**published, **given}
    for name in published.keys() & given.keys():
        if isinstance(published[name], Mapping):
            joined[name] = {**published[name], **given[name]}
    return joined


def _flag(name: str) -> str:
    return FLAGS.get(name, name.replace("_", "-"))


def check_folder(out: Path) -> None:
    """Raise ``ValueError`` for a folder that is a file, or the address of a database."""
    _check_address(out, "a folder, in which the study is kept as a file")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; give a folder")


def check_file(out: Path, what: str) -> None:
    """Raise ``ValueError`` for a file to write that is a folder, or the address of a database."""
    _check_address(out, f"a file for {what}")
    if out.is_dir():
        raise ValueError(f"{out} is a folder; give a file for {what}")


def _check_address(out: Path, wanted: str) -> None:
    if address := re.match(r"([A-Za-z][\w+.-]+):/", str(out)):
        raise ValueError(f"out is the address of a {address[1]} database; give {wanted}")
