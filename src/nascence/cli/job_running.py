"""Running a job from the command line: progress on stderr, the outcome on stdout."""

import json
import sys
from typing import TYPE_CHECKING

import typer

from nascence.cli.console import line, shown

if TYPE_CHECKING:
    from nascence.jobs.job import Job, Table


def run_and_print(job: "Job", *, as_json: bool, quiet: bool) -> None:
    """Carry a job out, or on, and print its facts as JSON or its summary for people."""
    with shown(job.out, quiet=quiet) as progress:
        try:
            outcome = job.run(progress=progress)
        except KeyboardInterrupt:
            line(f"stopped; the same command with --out {job.out} goes on")
            raise
    if as_json:
        typer.echo(json.dumps(outcome.facts()))
    else:
        print_summary(outcome.summary())


def print_summary(summary: "list[str | Table]") -> None:
    """Print lines and tables on stdout; nothing in them is markup."""
    from rich import table
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110)
    for part in summary:
        if isinstance(part, str):
            console.print(part, soft_wrap=True, highlight=False, markup=False)
            continue
        drawn = table.Table(title=Text(part.title))
        for place, heading in enumerate(part.headings):
            drawn.add_column(Text(heading), justify="right" if place else "left")
        for row in part.rows:
            drawn.add_row(*map(Text, row))
        console.print(drawn)
