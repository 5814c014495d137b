"""Options that are numbers: each has a range, and what is not in it ends on one line at once."""

from typing import Annotated, Any

import typer

from nascence.cli.console import failures_as_lines
from nascence.core.ranges import LABEL_DEPTH, SEED, SIDE, Range


class Number:
    """Reads the text of an option as a number of its range, before the command starts.

    Args:
        option: Its name on the command line, as errors say it.
        allowed: What it may be.
    """

    __name__ = "number"  # which typer asks of a parser

    def __init__(self, option: str, allowed: Range) -> None:
        self.option, self.allowed = option, allowed

    def __call__(self, value: object) -> int | float:
        """Return the number; a default comes as one already.

        Raises:
            typer.Exit: The value is no number of the range, which is said in a line.
        """
        with failures_as_lines():
            return self.allowed.read(self.option, str(value))


def number(option: str, allowed: Range, *, help: str, panel: str | None = None) -> Any:
    """Return a numeric option for the annotation of a command's parameter."""
    return typer.Option(
        option,
        help=help,
        parser=Number(option, allowed),
        rich_help_panel=panel,
    )


Seed = Annotated[int, number("--seed", SEED, help="Seed of every random choice.")]

Side = Annotated[
    int | None, number("--size", SIDE, help="Side in pixels that images are scaled to.")
]
LabelDepth = Annotated[
    int | None,
    number(
        "--label-depth",
        LABEL_DEPTH,
        help="Level of the folders that are classes, in folders of folders; the first by default.",
    ),
]


def numbers(option: str, text: str, allowed: Range) -> tuple[int, ...]:
    """Return the whole numbers of a range between commas; raise ValueError for anything else."""
    return tuple(int(allowed.read(option, word.strip())) for word in text.split(","))
