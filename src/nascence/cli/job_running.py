"""Running a job from the command line: progress on stderr, the outcome on stdout."""

import json
import os
from typing import TYPE_CHECKING

import typer

from nascence.cli.console import line, say, say_table, shown

if TYPE_CHECKING:
    from nascence.jobs.job import Job


def run_and_print(job: "Job", *, as_json: bool, quiet: bool, resumes: bool = True) -> None:
    """Carry a job out, or on, and print its facts as JSON or its summary for people.

    Args:
        job: What to do.
        as_json: Print the facts.
        quiet: Show no progress.
        resumes: Whether the job goes on from its folder after an interruption.
    """
    # torchrun starts a command several times; the first process speaks for all
    speaks = os.environ.get("RANK", "0") == "0"
    quiet = quiet or not speaks
    with shown(job.out, quiet=quiet) as progress:
        try:
            outcome = job.run(progress=None if quiet else progress)
        except KeyboardInterrupt:
            if resumes:
                line(f"stopped; the same command goes on with --out {job.out}")
            raise
    if not speaks:
        return
    if as_json:
        typer.echo(json.dumps(outcome.facts()))
        return
    for part in outcome.summary():
        if isinstance(part, str):
            say(part)
        else:
            say_table(part.title, part.headings, part.rows)
