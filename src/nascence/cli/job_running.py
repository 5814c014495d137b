"""Running a job from the command line: progress on stderr, the outcome on stdout."""

import json
from typing import TYPE_CHECKING

import typer

from nascence.cli.console import line, say, say_table, shown

if TYPE_CHECKING:
    from nascence.jobs.job import Job


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
        return
    for part in outcome.summary():
        if isinstance(part, str):
            say(part)
        else:
            say_table(part.title, part.headings, part.rows)
